"""Temporary folders of this process, which disappear with the process.

The process keeps a locked file in each folder.  If a process is killed, its locks end.  The next
process that makes a temporary folder recognises the abandoned folder and removes it.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from int8ref.host import locks

PREFIX = "int8ref-"
LOCK = "lock"
ENOUGH_BYTES = 1 << 25
"""Free space that an imported model needs, with a margin."""

_held: dict[Path, tuple[int, int]] = {}
"""Folders of this process -> number of the process, and descriptor of the locked file."""


def make(otherwise: Path | None = None) -> Path:
    """Make a new folder in the system's folder of temporary files.

    If this folder has too little space, make the new folder in `otherwise`.  Raises OSError if
    neither is possible.
    """
    parent = _parent(otherwise)
    _remove_abandoned(parent)
    folders = (Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)) for _ in itertools.count())
    descriptor, file = locks.locked_file(folder / LOCK for folder in folders)
    _held[file.parent] = os.getpid(), descriptor
    return file.parent


def remove(folder: Path) -> None:
    """Remove a folder before the process ends."""
    process, descriptor = _held.pop(folder)
    os.close(descriptor)
    if os.getpid() == process:  # a forked process must not remove the folder of its parent
        shutil.rmtree(folder, ignore_errors=True)


@atexit.register
def _remove_all() -> None:
    for folder in list(_held):
        remove(folder)


def _parent(otherwise: Path | None) -> Path:
    """Return the folder in which there is space for a temporary folder."""
    with suppress(OSError):
        usual = Path(tempfile.gettempdir())
        if otherwise is None or shutil.disk_usage(usual).free >= ENOUGH_BYTES:
            return usual
    if otherwise is None:
        raise FileNotFoundError("there is no folder for temporary files (TMPDIR names one)")
    otherwise.mkdir(parents=True, exist_ok=True)
    return otherwise


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes of this user that have ended."""
    with suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            if _is_mine(folder) and locks.remove_abandoned(folder / LOCK):
                shutil.rmtree(folder, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    """Return whether the folder belongs to this user and is no symbolic link."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
