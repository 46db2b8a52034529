"""Locks between processes.  The operating system releases a lock when its process ends.

A lock belongs to an open file.  Some file systems have no locks.  There, two processes may do the
same work.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

INTERVAL_SECONDS = 0.1
BINARY = getattr(os, "O_BINARY", 0)  # exists on Windows only


def lock(descriptor: int) -> bool:
    """Try to lock an open file.  Return False if another descriptor holds the lock.

    Raises OSError if the file system has no locks.
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
    """Return whether the open file is the file at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


@contextmanager
def alone(path: Path, wait: Callable[[], object]) -> Iterator[None]:
    """Let only one process at a time into the blocks of the same lock file.

    The function creates the file, and removes it at the end.  It calls `wait` once before it waits
    for another process.  If the file cannot be created or locked, the block runs without a lock.
    """
    descriptor = _acquired(path, wait)
    try:
        yield
    finally:
        if descriptor is not None:
            with suppress(OSError):  # Windows removes no open file
                os.unlink(path)
            os.close(descriptor)


def locked_file(paths: Iterator[Path]) -> tuple[int, Path]:
    """Create and lock the first possible file of `paths`.  Return its descriptor and its path.

    The file is open for reading and writing.  A path must not exist.  If the file system has no
    locks, the file is not locked.  Raises OSError if a file cannot be created.
    """
    for path in paths:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o666)
        try:
            if lock(descriptor) and is_at(descriptor, path):
                break
        except OSError:
            break
        os.close(descriptor)  # `remove_abandoned` of another process removed or locked the file
    return descriptor, path


def remove_abandoned(path: Path) -> bool:
    """Remove a file whose locking process has ended.  Return whether the file was removed."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR)
        try:
            if not lock(descriptor):
                return False
            if sys.platform != "win32":
                os.unlink(path)
        finally:
            os.close(descriptor)
        if sys.platform == "win32":  # Windows removes no open file
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
        os.close(descriptor)  # another process holds the lock, or has just removed the file
        if not locked:
            if not waited:
                wait()
            waited = True
            time.sleep(INTERVAL_SECONDS)


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # the file belongs to another user
        return os.open(path, os.O_RDONLY)
