"""What checkpoints in safetensors share: a JSON header, and tensors that tile the rest of the file.

Little endian: u64 length of the header; the header, {name: {dtype, shape, data_offsets}} and text
by name under `__metadata__`; the data.  Floats of 32 and of 16 bits are read.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from weights_import.float_model import CheckpointError, Float32
from weights_import.sources.checkpoint_bytes import from_bfloat16, whole
from weights_import.sources.json_file import parse

MAXIMUM_HEADER_BYTES = 1 << 24
MAXIMUM_RANK = 4
METADATA = "__metadata__"
LENGTH = struct.Struct("<Q")
STORED = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}

Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dtype: Literal["F32", "F16", "BF16"]
    shape: Annotated[list[Size], msgspec.Meta(min_length=1, max_length=MAXIMUM_RANK)]
    data_offsets: tuple[int, int]


@dataclass(frozen=True)
class Contents:
    """A whole file: its metadata, its tensors in float32, and the digest of its bytes."""

    metadata: dict[str, str]
    tensors: dict[str, Float32]
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
    tensors = _tensors(content[start:], entries)
    return Contents(told, tensors, hashlib.sha256(content).hexdigest())


def renamed(
    stored: dict[str, Float32], names: Mapping[str, str], others: Collection[str] = ()
) -> dict[str, Float32]:
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


def _tensors(data: bytes, entries: Mapping[str, _Entry]) -> dict[str, Float32]:
    """The tensors, which tile the data exactly, in any order."""
    end = 0
    found: dict[str, Float32] = {}
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        begin, stop = entry.data_offsets
        kind = np.dtype(STORED[entry.dtype])
        count = math.prod(entry.shape)
        if begin != end or stop - begin != kind.itemsize * count or stop > len(data):
            raise CheckpointError(
                f"{name}: bytes {begin} to {stop} of {len(data)}, after {end}, for {entry.shape}"
            )
        values = np.frombuffer(data, kind, count, begin).reshape(entry.shape)
        found[name] = _widened(values, entry.dtype)
        end = stop
    if end != len(data):
        raise CheckpointError(f"{len(data) - end} bytes after the last tensor")
    return found


def _widened(values: NDArray[Any], dtype: str) -> Float32:
    """Values of a stored type in float32, which holds all of them."""
    if dtype == "BF16":
        return from_bfloat16(values)
    return values.astype(np.float32)
