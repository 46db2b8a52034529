"""Writes a folder as a whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from int8ref.errors import UserError
from int8ref.host.storage import TEMPORARY


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder, which gets the name `path` at the end.

    No other process sees a part of the folder, and nothing stays after an error.  Raises
    `UserError` if `path` exists and is no empty folder, and `OSError` that names `path` if the
    folder cannot be written.
    """
    target = Path(os.path.abspath(path))
    if target.exists() and not target.is_dir():
        raise UserError(f"{path}: is a file: choose another name for the folder")
    if target.is_dir() and any(target.iterdir()):
        raise UserError(f"{path}: the folder is not empty: remove it, or choose another name")
    temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
    try:
        temporary.mkdir()
        yield temporary
        temporary.replace(target)
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
