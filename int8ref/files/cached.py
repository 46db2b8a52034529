"""What is made of a model's file, and kept in the cache: the next process maps it.

A file is a container of its own, checked as a model's is.  Where there is none, or it is damaged,
of something else or not what is wanted, the arrays are made again.  What is written in place of
files of older versions of a model, or by another version of int8ref, removes those.
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
from int8ref.host import storage
from int8ref.program.program import Tensors

ALIGNMENT = 64
STALE_SECONDS = 24 * 3600
"""Age at which a file is taken for one of an older version.  Versions, or CPUs, that use a cache by
turns do not remove each other's files: after a first turn nobody writes any more."""

_log = logging.getLogger(__name__)


def kept(
    kind: str,
    name: str,
    key: str,
    sound: Callable[[Tensors], bool],
    make: Callable[[], Tensors],
) -> Tensors:
    """The arrays of this kind that are kept under `key`, if they are `sound`; else those that
    `make` gives, which are then kept.

    They are views of a mapped file, or, where none can be kept, arrays.  `name` is that of the
    model, of which older files are removed.
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
    """The name under which the key is in a file."""
    return f"int8ref.{kind}"


def _read(path: Path, kind: str, key: str, sound: Callable[[Tensors], bool]) -> Tensors | None:
    """What is in a file, or None where there is none or it is not what was kept."""
    try:
        contents = container.unpack(container.map_file(path), metadata(kind))
    except ModelFileError as error:
        if os.access(path, os.R_OK):
            _log.info("%s: %s; making it again", path, error)
        return None
    return contents.tensors if contents.document == key and sound(contents.tensors) else None


def _write(path: Path, kind: str, key: str, arrays: Tensors) -> bool:
    """Keep arrays; whether that was possible."""
    try:
        content = container.pack(arrays, metadata(kind), json.dumps(key), ALIGNMENT)
    except ModelFileError as error:
        _log.info("%s cannot be kept: %s", path, error)
        return False
    return storage.keep(path, content)


def _remove_older(path: Path) -> None:
    """Remove files of the same kind and model that were there long before this one.

    Who has one mapped can still read it; where the system does not allow that, the file stays, as
    do those that another process writes, which have temporary names.
    """
    same = path.stem.rpartition("-")[0]
    with contextlib.suppress(OSError):
        written = path.stat().st_mtime
        for other in path.parent.glob(f"*{path.suffix}"):
            with contextlib.suppress(OSError):
                older = written - other.stat().st_mtime > STALE_SECONDS
                if older and other.stem.rpartition("-")[0] == same:
                    other.unlink()
