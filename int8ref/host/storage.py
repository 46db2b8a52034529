"""Locates the cache folder, and writes files atomically."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from int8ref.host import locks

TEMPORARY = ".int8ref."
"""Prefix of the names of temporary files."""
STALE_SECONDS = 6 * 3600
"""Age at which a temporary file counts as abandoned if files cannot be locked."""

_log = logging.getLogger(__name__)
_complained: set[Path] = set()
_tidied: set[Path] = set()


def cache_folder() -> Path:
    """Return the folder of imported models and compiled code.

    The folder is INT8REF_CACHE, or the cache folder of the user.  If neither exists, because the
    user has no home folder, the function logs a warning and returns a temporary folder of this
    process.
    """
    folder = _absolute(os.environ.get("INT8REF_CACHE") or _users_cache())
    if folder is None:
        folder = _temporary(os.getpid())
        complain(folder, "the user has no home folder")
    return folder


@cache
def _temporary(process: int) -> Path:
    """Return a folder that lasts as long as this process.  A forked process has its own folder."""
    from int8ref.host import temporary

    return temporary.make()


def _users_cache() -> str:
    import platformdirs

    try:
        return platformdirs.user_cache_dir("int8ref")
    except RuntimeError:  # the user has no home folder
        return "~"


def _absolute(path: str) -> Path | None:
    """Expand `~` and make the path absolute.  Return None without a home or current folder."""
    expanded = os.path.expanduser(path)  # leaves `~` unchanged without a home folder
    if expanded.startswith("~"):
        return None
    try:
        return Path(os.path.abspath(expanded))
    except OSError:
        return None


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file atomically: no other process sees a part of it, not even after a kill.

    The function writes a temporary file in the same folder, syncs it to disk, and renames it.  The
    file has the usual permissions of a new file.  Symbolic links are followed.  Devices and pipes
    are written directly.  Raises `OSError` that names `path`, not the temporary file.
    """
    with WholeFile(path) as file:
        file.write(content)
        file.commit()


class WholeFile:
    """A file that appears as a whole: see `write_whole`.  The content may have any size.

    The content is written piece by piece.  The file appears at `commit`.  At the end of the context
    without `commit`, nothing remains.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._temporary: Path | None = None
        with self._named():
            self._target = Path(os.path.realpath(path))
            self._file = self._opened()

    def _opened(self) -> BinaryIO:
        target = self._target
        if target.exists() and not target.is_file():
            return target.open("wb")
        names = (target.with_name(f"{TEMPORARY}{secrets.token_hex(8)}") for _ in itertools.count())
        descriptor, self._temporary = locks.locked_file(names)
        return os.fdopen(descriptor, "wb")

    def __enter__(self) -> WholeFile:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # the content is lost in any case
            self._file.close()
        if self._temporary is not None:
            with suppress(FileNotFoundError):  # another process has removed the folder
                os.unlink(self._temporary)

    def write(self, content: bytes) -> None:
        """Write a piece of the content."""
        with self._named():
            self._file.write(content)

    def commit(self) -> None:
        """Let the file appear, or replace the older file."""
        with self._named():
            self._file.flush()
            if self._temporary is not None:
                os.fsync(self._file.fileno())
                if sys.platform == "win32":
                    self._file.close()  # Windows renames no open file
                os.replace(self._temporary, self._target)
                self._temporary = None
            self._file.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors name the file, not the temporary file."""
        try:
            yield
        except OSError as error:
            error.filename, error.filename2 = self._path, None
            raise


def keep(path: Path, content: bytes) -> bool:
    """Write a file of the cache, and create its folder.  Return whether this was possible.

    If it is impossible, the function logs one warning for each folder.  The next process then
    computes the content again.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        complain(path.parent, error.strerror or str(error))
        return False
    _tidy(path.parent)
    return True


def complain(folder: Path, reason: str) -> None:
    """Log one warning for each folder: the folder cannot store files."""
    if folder not in _complained:
        _complained.add(folder)
        _log.warning(
            "nothing can be kept in the cache folder %s: %s; it is made again when it is needed"
            " (INT8REF_CACHE names another folder)",
            folder,
            reason,
        )


def _tidy(folder: Path) -> None:
    """Remove the files that killed processes left in a folder.  Do this once in a process."""
    if folder in _tidied:
        return
    _tidied.add(folder)
    with suppress(OSError):
        for path in (*folder.glob(f"{TEMPORARY}*"), *folder.glob("*.lock")):
            if not locks.remove_abandoned(path) and _age(path) > STALE_SECONDS:
                path.unlink()


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0
