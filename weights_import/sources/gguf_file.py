"""The file of a GGUF model: metadata by keys, and tensors by names (versions 2 and 3).

All numbers are little endian:

    "GGUF", u32 version, u64 count of tensors, u64 count of keys
    each key: text, u32 type, value; a text is a u64 length and UTF-8
    each tensor: text, u32 rank, u64 dimensions from the last to the first, u32 type, u64 offset
    the data, from the next multiple of `general.alignment` on, which is 32 without that key

The type of a value is one of VALUES, 8 for a text, or 9 for an array: u32 type, u64 count, and
the values.  A tensor is read from the file whenever it is used.  The format is documented in the
repository ggml (docs/gguf.md).
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weights_import.errors import CheckpointError
from weights_import.sources.checkpoint_bytes import Cursor
from weights_import.sources.gguf_types import TYPES, Type, type_of
from weights_import.sources.safetensors_file import check_empty
from weights_import.sources.unchanged_file import UnchangedFile
from weights_import.tensors import Float32, Stored

MAGIC = b"GGUF"
VERSIONS = 2, 3
ALIGNMENT, DEFAULT_ALIGNMENT = "general.alignment", 32
MAXIMUM_HEAD_BYTES = 1 << 27
"""Of a file before its data."""
MAXIMUM_KEYS, MAXIMUM_TENSORS, MAXIMUM_RANK = 1 << 12, 1 << 16, 4
MAXIMUM_NAME_BYTES = 1 << 10
MAXIMUM_DIMENSION = 1 << 32
U32, U64 = struct.Struct("<I"), struct.Struct("<Q")
BYTE = np.dtype(np.uint8)
TEXT, ARRAY, TRUTH = 8, 9, 7
VALUES = {
    0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", TRUTH: "?", 10: "<u8",
    11: "<i8", 12: "<f8",
}  # fmt: skip
"""The types of numbers in metadata."""


@dataclass(frozen=True)
class Contents:
    """A whole file: its metadata, its tensors by name, its digest.

    A value is a number, a text, a list of texts, or an array of numbers.
    """

    metadata: Mapping[str, Any]
    tensors: Mapping[str, Stored]
    sha256: str


@dataclass(frozen=True)
class _Entry:
    """What a file tells of a tensor."""

    name: str
    shape: tuple[int, ...]
    type: Type
    offset: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.count // self.type.block * self.type.nbytes


def is_gguf(path: Path) -> bool:
    """Whether a file begins as such files do; a look that never raises for a readable file."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def contents(path: Path) -> Contents:
    """A file whose metadata are read now, and whose tensors are read when they are used.

    Every length is compared with the size of the file before anything is allocated.  Raises
    CheckpointError with what is wrong and where.
    """
    file = UnchangedFile.of(path)
    cursor = Cursor(file.numbers(0, min(file.size, MAXIMUM_HEAD_BYTES), BYTE).data)
    tensors, keys = _begin(cursor)
    metadata = _metadata(cursor, keys)
    entries = [_entry(cursor) for _ in range(tensors)]
    start = _aligned(cursor.offset, metadata)
    _check_places(entries, file.size - start)
    stored = {entry.name: _stored(file, start, entry) for entry in entries}
    if len(stored) < len(entries):
        raise CheckpointError("two tensors have the same name")
    return Contents(metadata, stored, file.sha256())


def _begin(cursor: Cursor) -> tuple[int, int]:
    """The numbers of tensors and of keys; raises CheckpointError for another version."""
    magic = bytes(cursor.take(len(MAGIC), "magic"))
    (version,) = cursor.numbers(U32, "version")
    if magic != MAGIC or version not in VERSIONS:
        order = " (big endian)" if version.to_bytes(4, "big")[0] in VERSIONS else ""
        raise CheckpointError(f"GGUF version {version}{order}: the versions 2 and 3 are read")
    tensors, keys = (_count(cursor, what) for what in ("tensors", "keys"))
    if tensors > MAXIMUM_TENSORS or keys > MAXIMUM_KEYS:
        raise CheckpointError(f"{tensors} tensors and {keys} keys, which are too many")
    return tensors, keys


def _count(cursor: Cursor, what: str) -> int:
    (count,) = cursor.numbers(U64, f"number of {what}")
    return int(count)


def _metadata(cursor: Cursor, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(count):
        key = _name(cursor, "key")
        if key in found:
            raise CheckpointError(f"the key {key:.80} stands twice")
        (code,) = cursor.numbers(U32, f"{key}: type")
        found[key] = _value(cursor, key, code)
    return found


def _value(cursor: Cursor, key: str, code: int) -> Any:
    if code == TEXT:
        return _text(cursor, key)
    if code != ARRAY:
        return _numbers(cursor, key, code, 1)[0].item()
    (kind,) = cursor.numbers(U32, f"{key}: type of the array")
    count = _count(cursor, f"values of {key}")
    if kind != TEXT:
        return _numbers(cursor, key, kind, count)
    cursor.check(count * U64.size, key)
    return [_text(cursor, key) for _ in range(count)]


def _numbers(cursor: Cursor, key: str, code: int, count: int) -> Any:
    if code not in VALUES:
        raise CheckpointError(f"{key:.80}: type {code} is no type of a number or a text")
    kind = np.dtype(VALUES[code])
    content = cursor.take(count * kind.itemsize, key)
    if code == TRUTH and count and np.frombuffer(content, np.uint8).max() > 1:
        raise CheckpointError(f"{key:.80}: a truth value that is neither 0 nor 1")
    return np.frombuffer(content, kind).copy()


def _text(cursor: Cursor, what: str) -> str:
    (length,) = cursor.numbers(U64, f"{what}: length")
    at = cursor.offset
    try:
        return bytes(cursor.take(length, what)).decode()
    except UnicodeDecodeError:
        raise CheckpointError(f"{what:.80} at byte {at}: not UTF-8") from None


def _name(cursor: Cursor, what: str) -> str:
    at, name = cursor.offset, _text(cursor, f"name of a {what}")
    if not name.isprintable() or not 1 <= len(name) <= MAXIMUM_NAME_BYTES:
        raise CheckpointError(f"name of a {what} at byte {at}: {name!r:.80}")
    return name


def _entry(cursor: Cursor) -> _Entry:
    name = _name(cursor, "tensor")
    (rank,) = cursor.numbers(U32, f"{name}: rank")
    if rank > MAXIMUM_RANK:
        raise CheckpointError(f"{name}: rank {rank}, at most {MAXIMUM_RANK} is read")
    shape = cursor.numbers(struct.Struct(f"<{rank}Q"), f"{name}: dimensions")[::-1]
    (code,) = cursor.numbers(U32, f"{name}: type")
    (offset,) = cursor.numbers(U64, f"{name}: offset")
    if any(size > MAXIMUM_DIMENSION for size in shape):
        raise CheckpointError(f"{name}: a dimension of {list(shape)} is too large")
    kind = type_of(name, code)
    if kind.block > 1 and (not shape or shape[-1] % kind.block):
        raise CheckpointError(f"{name}: rows of {list(shape)} are not blocks of {kind.block}")
    return _Entry(name, shape, kind, offset)


def _aligned(end: int, metadata: Mapping[str, Any]) -> int:
    """Where the data begin; raises CheckpointError for an alignment that is none."""
    step = metadata.get(ALIGNMENT, DEFAULT_ALIGNMENT)
    if not isinstance(step, int) or not 1 <= step <= 1 << 20:
        raise CheckpointError(f"{ALIGNMENT} is {step!r:.40}")
    return -(-end // step) * step


def _check_places(entries: Sequence[_Entry], length: int) -> None:
    """Raises CheckpointError unless the tensors lie apart, in that many bytes."""
    order = sorted(entries, key=lambda entry: entry.offset)
    for entry, after in itertools.zip_longest(order, order[1:]):
        end = length if after is None else after.offset
        if entry.offset + entry.nbytes > end:
            raise CheckpointError(
                f"{entry.name}: bytes {entry.offset} to {entry.offset + entry.nbytes} of the data"
                f" reach beyond {end}, where {after.name if after else 'the file'}"
                f" {'begins' if after else 'ends'}"
            )


def _stored(file: UnchangedFile, start: int, entry: _Entry) -> Stored:
    if not entry.count:
        check_empty(entry.name, entry.shape, np.dtype(np.float32))
    kind, offset = entry.type, start + entry.offset

    def read() -> Float32:
        return kind.floats(file.numbers(offset, entry.nbytes, BYTE)).reshape(entry.shape)

    return Stored(entry.name, entry.shape, read, bfloat16=kind is TYPES["BF16"])
