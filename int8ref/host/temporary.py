"""Folders for files of this process, which are removed with it.

The process keeps a file in each locked.  So a folder that a killed process has left is known, and
the next process that needs one removes it.
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
"""Room that an imported model takes, and some."""

_held: dict[Path, tuple[int, int]] = {}
"""The folders of this process: its number, and the descriptor of the locked file."""


def make(otherwise: Path | None = None) -> Path:
    """A new folder: where the system has temporary files, or in `otherwise`, where there is no
    room.  Raises OSError where it can be made nowhere."""
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
    if os.getpid() == process:  # and no fork of it
        shutil.rmtree(folder, ignore_errors=True)


@atexit.register
def _remove_all() -> None:
    for folder in list(_held):
        remove(folder)


def _parent(otherwise: Path | None) -> Path:
    """Where there is room for a temporary folder."""
    with suppress(OSError):
        usual = Path(tempfile.gettempdir())
        if otherwise is None or shutil.disk_usage(usual).free >= ENOUGH_BYTES:
            return usual
    if otherwise is None:
        raise FileNotFoundError("there is no folder for temporary files (TMPDIR names one)")
    otherwise.mkdir(parents=True, exist_ok=True)
    return otherwise


def _remove_abandoned(parent: Path) -> None:
    """Remove folders that this user's processes have left, where those are gone."""
    with suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            if _is_mine(folder) and locks.remove_abandoned(folder / LOCK):
                shutil.rmtree(folder, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    """Whether it is this user's, and no link to something else."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
