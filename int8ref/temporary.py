"""A folder for files of this process, which is removed with it.

The process keeps a file in it locked.  So a folder that a killed process has left is known, and the
next process that needs one removes it.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from int8ref import locks

PREFIX = "int8ref-"
LOCK = "lock"
ENOUGH_BYTES = 1 << 25
"""Room that an imported model takes, and some."""


def temporary_folder(otherwise: Path | None = None) -> Path:
    """The folder of this process: where the system has temporary files, or in `otherwise`, where
    there is no room.  Raises OSError where it can be made nowhere."""
    return _made(os.getpid(), otherwise)


@cache
def _made(process: int, otherwise: Path | None) -> Path:
    """`process`: a forked process has a folder of its own."""
    parent = _parent(otherwise)
    _remove_abandoned(parent)
    folders = (Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)) for _ in itertools.count())
    descriptor, file = locks.locked_file(folder / LOCK for folder in folders)
    atexit.register(_remove, process, file.parent, descriptor)
    return file.parent


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


def _remove(process: int, folder: Path, descriptor: int) -> None:
    if os.getpid() == process:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


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
