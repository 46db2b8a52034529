"""Where files are kept, and how one is written: whole or not at all."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from int8ref.host import locks

TEMPORARY = ".int8ref."
"""What temporary names begin with."""
STALE_SECONDS = 6 * 3600
"""Age at which a temporary file is taken for a leftover where files cannot be locked."""

_log = logging.getLogger(__name__)
_complained: set[Path] = set()
_tidied: set[Path] = set()


def cache_folder() -> Path:
    """Folder of imported models and compiled code: INT8REF_CACHE, or the user's cache folder.

    Where there is neither, as the user has no home, a temporary one of this process, after a
    warning.
    """
    folder = _absolute(os.environ.get("INT8REF_CACHE") or _users_cache())
    if folder is None:
        folder = _temporary(os.getpid())
        complain(folder, "the user has no home folder")
    return folder


@cache
def _temporary(process: int) -> Path:
    """A folder that lasts as long as this process; a forked one has its own."""
    from int8ref.host import temporary

    return temporary.make()


def _users_cache() -> str:
    import platformdirs

    try:
        return platformdirs.user_cache_dir("int8ref")
    except RuntimeError:  # there is no home folder
        return "~"


def _absolute(path: str) -> Path | None:
    """The path with a home folder for `~`; None where there is none, or no current folder."""
    expanded = os.path.expanduser(path)  # as it is, where there is no home folder
    if expanded.startswith("~"):
        return None
    try:
        return Path(os.path.abspath(expanded))
    except OSError:
        return None


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that no other process, and no kill on the way, meets a part of it.

    The bytes go to a temporary file in the same folder, which is renamed when they are on disk.
    Permissions are those of any new file.  Symbolic links are followed, and devices and pipes are
    written to as they are.  Raises `OSError` that names the file, not the temporary one.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
        else:
            _write_and_rename(target, content)
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None
        raise


def _write_and_rename(target: Path, content: bytes) -> None:
    names = (target.with_name(f"{TEMPORARY}{secrets.token_hex(8)}") for _ in itertools.count())
    descriptor, temporary = locks.locked_file(names)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            if sys.platform == "win32":
                file.close()  # an open file cannot be renamed there
            os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):  # somebody has removed the folder
            os.unlink(temporary)
        raise


def keep(path: Path, content: bytes) -> bool:
    """Write a file of the cache, and the folder if need be; whether that was possible.

    Where it is not, a warning says so, once a folder: what is kept there is made again.
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
    """Warn, once a folder, that nothing can be kept there."""
    if folder not in _complained:
        _complained.add(folder)
        _log.warning(
            "nothing can be kept in the cache folder %s: %s; it is made again when it is needed"
            " (INT8REF_CACHE names another folder)",
            folder,
            reason,
        )


def _tidy(folder: Path) -> None:
    """Remove what killed processes have left in a folder, once in a process."""
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
