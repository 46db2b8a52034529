"""The form that PyTorch wrote before version 1.6.

It has pickles of a magic number, a version, the machine, the value, and the keys of the storages;
then for each storage a count and its numbers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from weights_import.errors import CheckpointError
from weights_import.sources.safetensors_file import STORED
from weights_import.sources.torch_pickle import MAXIMUM_BYTES, unpickled
from weights_import.sources.torch_pickle_names import NAMES, Storage, storage
from weights_import.sources.unchanged_file import UnchangedFile

MAGIC = re.compile(
    rb"\x80[\x02-\x05](\x95.{8})?\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\.", re.DOTALL
)
"""The pickle of 0x1950a86a20f9469cfc6c."""
MAGIC_BYTES = 1 << 5
VERSION = 1001
OUTLINE_BYTES = 1 << 22
BYTE, COUNT = np.dtype(np.uint8), np.dtype("<i8")


def outline(path: Path) -> bytes:
    """The first bytes of a file, among which its pickle names its tensors; empty for a file of
    another form."""
    with path.open("rb") as file:
        start = file.read(MAGIC_BYTES)
        return start + file.read(OUTLINE_BYTES) if MAGIC.match(start) else b""


def opened(file: UnchangedFile) -> tuple[Any, dict[str, tuple[int, int]]]:
    """The value of a file, and where the bytes of each storage lie: their offset and their number.

    Raises CheckpointError with what is wrong.
    """
    content = file.numbers(0, min(file.size, MAXIMUM_BYTES), BYTE).tobytes()
    found: dict[str, Storage] = {}

    def noted(told: object) -> Storage:
        one = storage(told)
        if found.setdefault(one.key, one) != one:
            raise CheckpointError(f"the storage {one.key:.80} is told of in two ways")
        return one

    _, offset = unpickled(content, 0, {}, storage)
    version, offset = unpickled(content, offset, {}, storage)
    machine, offset = unpickled(content, offset, {}, storage)
    if version != VERSION or not isinstance(machine, dict) or not machine.get("little_endian"):
        raise CheckpointError(f"not of version {VERSION}, or its numbers are big endian")
    value, offset = unpickled(content, offset, NAMES, noted)
    keys, offset = unpickled(content, offset, {}, storage)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CheckpointError("no list of the keys of its storages")
    if len(set(keys)) != len(keys) or set(keys) != set(found):
        raise CheckpointError("the storages that it lists are not those of its tensors")
    return value, _places(file, offset, [found[key] for key in keys])


def _places(file: UnchangedFile, offset: int, stored: list[Storage]) -> dict[str, tuple[int, int]]:
    """Where the storages lie that follow one another from a byte on."""
    places = {}
    for one in stored:
        size = one.count * np.dtype(STORED[one.kind]).itemsize
        begin = offset + COUNT.itemsize
        if begin + size > file.size or file.numbers(offset, 1, COUNT)[0] != one.count:
            raise CheckpointError(
                f"the storage {one.key:.80}: not {one.count} numbers at byte {offset} of"
                f" {file.size}"
            )
        places[one.key] = begin, size
        offset = begin + size
    if offset != file.size:
        raise CheckpointError(f"{file.size - offset} bytes after the last storage")
    return places
