"""Where files are kept, and how one is written: whole or not at all."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Folder of imported models and compiled code: INT8REF_CACHE, or the user's cache folder."""
    chosen = os.environ.get("INT8REF_CACHE")
    if chosen:
        return Path(chosen)
    import platformdirs

    return platformdirs.user_cache_path("int8ref")


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
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def keep(path: Path, content: bytes, what: str, level: int = logging.INFO) -> bool:
    """Write a file of the cache, and the folder if need be; whether that was possible.

    Where it is not, a message of this level tells that `what` cannot be kept: it is made again.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        _log.log(level, "%s cannot be kept in %s: %s", what, path.parent, error)
        return False
    return True
