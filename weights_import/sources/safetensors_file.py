"""What checkpoints in safetensors share: a JSON header, and tensors that tile the rest of the file.

Little endian: u64 length of the header; the header, {name: {dtype, shape, data_offsets}} and text
by name under `__metadata__`; the data.  Floats become float32; numbers of other types stay what
they are, because a file may hold some that no reader asks for.  A tensor is read from the file
whenever it is used, so that a model needs no memory for its weights.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from weights_import.errors import CheckpointError
from weights_import.sources.json_file import parse
from weights_import.sources.unchanged_file import UnchangedFile
from weights_import.tensors import Stored, from_bfloat16

MAXIMUM_HEADER_BYTES = 1 << 24
MAXIMUM_RANK = 8
METADATA = "__metadata__"
LENGTH = struct.Struct("<Q")
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
OTHERS = {
    "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4", "I16": "<i2", "U16": "<u2", "I8": "i1",
    "U8": "u1", "BOOL": "?", "F8_E4M3": "u1", "F8_E5M2": "u1", "F8_E8M0": "u1", "C64": "<c8",
}  # fmt: skip
STORED = FLOATS | OTHERS
BYTE = np.dtype(np.uint8)

Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dtype: str
    shape: Annotated[
        list[Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]],
        msgspec.Meta(max_length=MAXIMUM_RANK),
    ]
    data_offsets: tuple[int, int]

    @property
    def kind(self) -> np.dtype[Any]:
        """The type of its numbers."""
        return np.dtype(STORED[self.dtype])


@dataclass(frozen=True)
class Integers(Stored):
    """A tensor of integers or truth values, which keeps its type."""


@dataclass(frozen=True)
class Contents:
    """A checkpoint: its metadata, its tensors by name, and the digest of its bytes."""

    metadata: dict[str, str]
    tensors: dict[str, Stored]
    sha256: str


def header_bytes(path: Path) -> bytes:
    """The header of a file, empty if it has none; a look that never raises for a readable file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(LENGTH.size)
        if len(start) < LENGTH.size:
            return b""
        (length,) = LENGTH.unpack(start)
        if not 2 <= length <= min(size - LENGTH.size, MAXIMUM_HEADER_BYTES):
            return b""
        return file.read(length)


def contents(path: Path) -> Contents:
    """A file whose header is read now, and whose tensors are read when they are used.

    Raises CheckpointError with what is wrong and where.  So does a tensor of a file that has
    changed since.  Every length is compared with the size of the file before anything is allocated.
    """
    file = UnchangedFile.of(path)
    if file.size < LENGTH.size:
        raise CheckpointError(f"{file.size} bytes are no safetensors file")
    (length,) = LENGTH.unpack(file.numbers(0, LENGTH.size, BYTE).tobytes())
    start = LENGTH.size + length
    if length > MAXIMUM_HEADER_BYTES or start > file.size:
        raise CheckpointError(f"header of {length} bytes in a file of {file.size}")
    told, entries = _header(file.numbers(LENGTH.size, length, BYTE).tobytes())
    _check_tiles(entries, file.size - start)
    tensors = {name: _stored(file, start, name, entry) for name, entry in _in_order(entries)}
    return Contents(told, tensors, file.sha256())


def metadata(path: Path) -> dict[str, str]:
    """The metadata of a file, of which only the header is read; raises CheckpointError."""
    return _header(header_bytes(path))[0]


def _header(text: bytes) -> tuple[dict[str, str], dict[str, _Entry]]:
    """Metadata, and the entry of each tensor; raises CheckpointError."""
    try:
        header = msgspec.convert(parse(text), dict[str, Any])
        told = msgspec.convert(header.pop(METADATA, {}), dict[str, str])
        return told, msgspec.convert(header, dict[str, _Entry])
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise CheckpointError(f"header: {error}") from None


def _check_tiles(entries: Mapping[str, _Entry], length: int) -> None:
    """Raises CheckpointError unless the tensors tile that many bytes exactly, in any order."""
    end = 0
    for name, entry in _in_order(entries):
        begin, stop = entry.data_offsets
        if entry.dtype not in STORED:
            raise CheckpointError(f"{name}: type {entry.dtype} (known: {', '.join(STORED)})")
        count = math.prod(entry.shape)
        if begin != end or stop - begin != entry.kind.itemsize * count or stop > length:
            raise CheckpointError(
                f"{name}: bytes {begin} to {stop} of {length}, after {end}, for {entry.shape}"
            )
        if not count:
            check_empty(name, entry.shape, entry.kind)
        end = stop
    if end != length:
        raise CheckpointError(f"{length - end} bytes after the last tensor")


def _in_order(entries: Mapping[str, _Entry]) -> list[tuple[str, _Entry]]:
    """The entries in the order of their bytes."""
    return sorted(entries.items(), key=lambda item: item[1].data_offsets)


def check_empty(name: str, shape: Sequence[int], kind: np.dtype[Any]) -> None:
    """Raises CheckpointError where NumPy has no array of the shape, although it has no numbers."""
    try:
        np.empty(shape, kind)
    except ValueError:
        raise CheckpointError(f"{name}: no array has the shape {list(shape)}") from None


def _stored(file: UnchangedFile, start: int, name: str, entry: _Entry) -> Stored:
    """A tensor of a file whose data begin at byte `start`."""
    shape, offset = tuple(entry.shape), start + entry.data_offsets[0]

    def read() -> NDArray[Any]:
        return file.numbers(offset, math.prod(shape), entry.kind).reshape(shape)

    return stored(name, shape, entry.dtype, read)


def stored(
    name: str, shape: tuple[int, ...], dtype: str, read: Callable[[], NDArray[Any]]
) -> Stored:
    """A tensor of numbers of a type, as `read` reads them from a file."""
    kind = Stored if dtype in FLOATS else Integers
    return kind(name, shape, lambda: _widened(read(), dtype), bfloat16=dtype == "BF16")


def _widened(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Floats in float32.

    Floats of 64 bits are rounded.  A number beyond float32 becomes infinite, which the Composer
    reports.
    """
    if dtype == "BF16":
        return from_bfloat16(values)
    if dtype not in FLOATS:
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)
