"""Stores arrays that are computed from a model file in the cache.  The next process maps them.

A cache file is a container, and is checked as a model file is checked.  If the file is missing,
damaged or not the expected one, the arrays are computed again.  Writing a cache file removes older
files of the same model: files of an older version of the model or of another version of int8ref.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

from int8ref.files import container
from int8ref.files.container import ModelFileError
from int8ref.host import large_pages, storage
from int8ref.program.program import Tensors

ALIGNMENT = 64
STALE_SECONDS = 24 * 3600
"""Age difference at which a cache file counts as older.

Two versions of int8ref, or two CPUs, may use one cache by turns.  They do not remove each other's
files, because each of them writes its files only at its first turn.
"""

_log = logging.getLogger(__name__)


def kept(
    kind: str,
    name: str,
    key: str,
    sound: Callable[[Tensors], bool],
    make: Callable[[], Tensors],
) -> Tensors:
    """Return the cached arrays of `kind` and `key`, or compute and cache them.

    The function calls `make` if the cache has no arrays, or if they are not `sound`.  The result is
    views of a mapped file, or of a copy of a large file in large pages.  If the cache cannot store
    the file, the result is the arrays of `make`.
    `name`: name of the model.  Older files of this model are removed.
    """
    path = storage.cache_folder().joinpath(f"{kind}-{name}-{key[:32]}.safetensors")
    found = _read(path, kind, key, sound)
    if found is None:
        found = make()
        if _write(path, kind, key, found):
            _remove_older(path)
            found = _read(path, kind, key, sound) or found
    return found


def metadata(kind: str) -> str:
    """Return the name of the metadata value that holds the key."""
    return f"int8ref.{kind}"


def _read(path: Path, kind: str, key: str, sound: Callable[[Tensors], bool]) -> Tensors | None:
    """Return the content of a cache file, or None if it is missing or not the expected content."""
    try:
        file = container.map_file(path)
        contents = container.unpack(large_pages.copied(file), metadata(kind), file)
    except ModelFileError as error:
        if os.access(path, os.R_OK):
            _log.info("%s: %s; making it again", path, error)
        return None
    return contents.tensors if contents.document == key and sound(contents.tensors) else None


def _write(path: Path, kind: str, key: str, arrays: Tensors) -> bool:
    """Write arrays to a cache file.  Return whether this was possible."""
    try:
        content = container.pack(arrays, metadata(kind), json.dumps(key), ALIGNMENT)
    except ModelFileError as error:
        _log.info("%s cannot be kept: %s", path, error)
        return False
    return storage.keep(path, content)


def _remove_older(path: Path) -> None:
    """Remove the files of the same kind and model that are much older than this file.

    A process that has mapped such a file can still read it.  If the operating system does not allow
    the removal, the file stays.  A file that another process is writing stays, because it has a
    temporary name.
    """
    same = path.stem.rpartition("-")[0]
    with contextlib.suppress(OSError):
        written = path.stat().st_mtime
        for other in path.parent.glob(f"*{path.suffix}"):
            with contextlib.suppress(OSError):
                older = written - other.stat().st_mtime > STALE_SECONDS
                if older and other.stem.rpartition("-")[0] == same:
                    other.unlink()
