"""Locks between processes.  The system keeps them, and opens them when their process ends.

A lock belongs to an open file.  Some file systems have none: there, work may be done twice.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

INTERVAL_SECONDS = 0.1
BINARY = getattr(os, "O_BINARY", 0)  # of Windows


def lock(descriptor: int) -> bool:
    """Lock an open file unless somebody has; whether it is now locked for this descriptor.

    Raises OSError where there are no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
    else:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def is_at(descriptor: int, path: str | os.PathLike[str]) -> bool:
    """Whether an open file is the one of this path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


@contextmanager
def alone(path: Path, wait: Callable[[], object]) -> Iterator[None]:
    """Only one process is in a block of the same lock file at any time.

    `wait` is called before another one is waited for.  The file is made, and removed at the end.
    Where it cannot be, or cannot be locked, the block is entered all the same.
    """
    descriptor = _acquired(path, wait)
    try:
        yield
    finally:
        if descriptor is not None:
            with suppress(OSError):  # Windows keeps a file that is open
                os.unlink(path)
            os.close(descriptor)


def locked_file(paths: Iterator[Path]) -> tuple[int, Path]:
    """The first of these files that can be made and locked, open for writing: none may be there.

    Where files cannot be locked, it is not.  Raises OSError where none can be made.
    """
    for path in paths:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o666)
        try:
            if lock(descriptor) and is_at(descriptor, path):
                break
        except OSError:
            break
        os.close(descriptor)  # `remove_abandoned` was faster
    return descriptor, path


def remove_abandoned(path: Path) -> bool:
    """Remove a file that has outlived the process that kept it locked; whether it had."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR)
        try:
            if not lock(descriptor):
                return False
            if sys.platform != "win32":
                os.unlink(path)
        finally:
            os.close(descriptor)
        if sys.platform == "win32":  # no file can be removed there that is open
            os.unlink(path)
        return True
    return False


def _acquired(path: Path, wait: Callable[[], object]) -> int | None:
    waited = False
    while True:
        try:
            descriptor = _opened(path)
        except OSError:
            return None
        try:
            locked = lock(descriptor)
        except OSError:
            os.close(descriptor)
            return None
        if locked and is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # it is another's, or one that another has just removed
        if not locked:
            if not waited:
                wait()
            waited = True
            time.sleep(INTERVAL_SECONDS)


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # another user's
        return os.open(path, os.O_RDONLY)
