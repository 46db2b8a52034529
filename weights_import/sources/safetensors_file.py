"""What checkpoints in safetensors share: a JSON header, and tensors that tile the rest of the file.

Little endian: u64 length of the header; the header, {name: {dtype, shape, data_offsets}} and text
by name under `__metadata__`; the data.  Floats become float32; numbers of other types stay what
they are, because a file may hold some that no reader asks for.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from weights_import.float_model import CheckpointError
from weights_import.sources.checkpoint_bytes import from_bfloat16, whole
from weights_import.sources.json_file import parse

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

Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
Tensors = dict[str, NDArray[Any]]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dtype: str
    shape: Annotated[
        list[Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]],
        msgspec.Meta(max_length=MAXIMUM_RANK),
    ]
    data_offsets: tuple[int, int]


@dataclass(frozen=True)
class Contents:
    """A whole file: its metadata, its tensors (float32 where they are floats), and the digest of
    its bytes."""

    metadata: dict[str, str]
    tensors: Tensors
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
    """Reads a file; raises CheckpointError with what is wrong and where.

    Every length is compared with the size of the file before anything is allocated.
    """
    content = whole(path)
    if len(content) < LENGTH.size:
        raise CheckpointError(f"{len(content)} bytes are no safetensors file")
    (length,) = LENGTH.unpack_from(content)
    start = LENGTH.size + length
    if length > MAXIMUM_HEADER_BYTES or start > len(content):
        raise CheckpointError(f"header of {length} bytes in a file of {len(content)}")
    told, entries = _header(content[LENGTH.size : start])
    tensors = _tensors(memoryview(content)[start:], entries)
    return Contents(told, tensors, hashlib.sha256(content).hexdigest())


def renamed(stored: Tensors, names: Mapping[str, str], others: Collection[str] = ()) -> Tensors:
    """The tensors by the new names of `names` (new -> old), without the `others`; one that is in
    neither keeps its name, so that who validates tells of it."""
    found = {name: stored[old] for name, old in names.items() if old in stored}
    used = {*names.values(), *others}
    return found | {name: value for name, value in stored.items() if name not in used}


def metadata(path: Path) -> dict[str, str]:
    """The metadata of a file, of which only the header is read; raises CheckpointError."""
    return _header(header_bytes(path))[0]


def _header(text: bytes) -> tuple[dict[str, str], dict[str, _Entry]]:
    """Metadata, and the entry of each tensor; raises CheckpointError."""
    try:
        header = parse(text)
        told = msgspec.convert(header.pop(METADATA, {}), dict[str, str])
        return told, msgspec.convert(header, dict[str, _Entry])
    except (ValueError, AttributeError, RecursionError, msgspec.ValidationError) as error:
        raise CheckpointError(f"header: {error}") from None


def _tensors(data: memoryview, entries: Mapping[str, _Entry]) -> Tensors:
    """The tensors, which tile the data exactly, in any order."""
    end = 0
    found: Tensors = {}
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        begin, stop = entry.data_offsets
        if entry.dtype not in STORED:
            raise CheckpointError(f"{name}: type {entry.dtype} (known: {', '.join(STORED)})")
        kind = np.dtype(STORED[entry.dtype])
        count = math.prod(entry.shape)
        if begin != end or stop - begin != kind.itemsize * count or stop > len(data):
            raise CheckpointError(
                f"{name}: bytes {begin} to {stop} of {len(data)}, after {end}, for {entry.shape}"
            )
        try:
            values = np.frombuffer(data[begin:stop], kind).reshape(entry.shape)
        except ValueError:
            raise CheckpointError(f"{name}: no array has the shape {entry.shape}") from None
        found[name] = _widened(values, entry.dtype)
        end = stop
    if end != len(data):
        raise CheckpointError(f"{len(data) - end} bytes after the last tensor")
    return found


def _widened(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Floats in float32, which holds all but those of 64 bits; a number beyond it is not finite,
    which who validates tells."""
    if dtype == "BF16":
        return from_bfloat16(values)
    if dtype not in FLOATS:
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
