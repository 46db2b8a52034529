"""What is made of a model's file, and kept in the cache: the next process maps it.

A file is a container of its own, checked as a model's is.  Where there is none, or it is damaged,
of something else or not what is wanted, the arrays are made again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

from int8ref import container, storage
from int8ref.container import ModelFileError
from int8ref.program import Tensors

ALIGNMENT = 64

_log = logging.getLogger(__name__)


def kept(
    kind: str, key: str, sound: Callable[[Tensors], bool], make: Callable[[], Tensors]
) -> Tensors:
    """The arrays of this kind that are kept under `key`, if they are `sound`; else those that
    `make` gives, which are then kept.

    They are views of a mapped file, or, where none can be kept, arrays.
    """
    path = storage.cache_folder().joinpath(f"{kind}-{key[:32]}.safetensors")
    found = _read(path, kind, key, sound)
    if found is None:
        found = make()
        if _write(path, kind, key, found):
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
        if path.exists():
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
    return storage.keep(path, content, path.name)
