"""Marian's binary checkpoint (.bin), float32 or quantised to intgemm8.

Little endian: u64 version, u64 count; count headers of four u64 {name length, type, rank, data
length}; the names, each with a trailing NUL; the shapes, i32 each; u64 padding and that many bytes;
the data, item after item, each padded to 256 bytes at most.

Types: 0x404 float32; 0x101 a text; 0x4101 intgemm8: one int8 a value, then a float32 multiplier,
value = int8 / multiplier.  intgemm8 matrices of shape [rows, cols] are stored transposed, except
the embeddings, whose rows are looked up.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.sources.checkpoint_bytes import Cursor, whole
from weights_import.sources.marian import (
    MAXIMUM_ITEMS,
    OPTIONS,
    MarianTensor,
    assemble,
)
from weights_import.sources.marian_names import is_embedding
from weights_import.sources.tokenizers import tokenizer_files
from weights_import.tensors import Float32, Stored

FORMAT = "Marian binary (.bin: float32 or intgemm8)"
VERSION = 1
FLOAT32, TEXT, INTGEMM8 = 0x404, 0x101, 0x4101
ALIGNMENT = 256
MAXIMUM_NAME = 1024
MAXIMUM_RANK = 4
LEAST_MULTIPLIER, LARGEST_MULTIPLIER = 1e-30, 1e30  # Beyond, int8 / multiplier leaves float32.
HEADER = struct.Struct("<4Q")
PREFIX = struct.Struct("<2Q")


def recognises(path: Path) -> bool:
    """Whether the file begins with version 1 and a count of headers that it has room for."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(PREFIX.size)
    if len(start) < PREFIX.size:
        return False
    version, count = PREFIX.unpack(start)
    return bool(version == VERSION and 1 <= count <= (size - PREFIX.size) // HEADER.size)


def companions(path: Path) -> list[Path]:
    """Its tokenizers."""
    return tokenizer_files(path.parent)


def read(path: Path) -> FloatModel:
    """Reads a checkpoint; raises CheckpointError with what is wrong and where (a byte offset).

    Every count and length is compared with the size of the file before anything is allocated.
    """
    with located(path):
        content = whole(path)
        items = _items(content)
        text = items.pop(OPTIONS, None)
        if text is None or text.type != TEXT:
            raise CheckpointError(f"no text named {OPTIONS}")
        stored = {name: _tensor(name, item, content) for name, item in items.items()}
        provenance = {
            "file": path.name,
            "format": "Marian intgemm8" if _quantised(items) else "Marian float32",
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        return assemble(stored, content[text.start : text.stop], provenance, path.parent)


@dataclass(frozen=True)
class _Item:
    """One entry of the file: its data are bytes start .. stop."""

    type: int
    shape: tuple[int, ...]
    start: int
    stop: int


def _items(content: bytes) -> dict[str, _Item]:
    """The directory of the file, checked to tile it exactly."""
    cursor = Cursor(content)
    version, count = PREFIX.unpack(cursor.take(PREFIX.size, "version and count"))
    if version != VERSION:
        raise CheckpointError(f"version {version} at byte 0, expected {VERSION}")
    if count > MAXIMUM_ITEMS:
        raise CheckpointError(f"count {count} at byte 8, at most {MAXIMUM_ITEMS} items are read")
    headers = list(HEADER.iter_unpack(cursor.take(count * HEADER.size, f"{count} headers")))
    for i, (name_length, kind, rank, _) in enumerate(headers):
        where = f"header {i} at byte {PREFIX.size + i * HEADER.size}"
        if not 2 <= name_length <= MAXIMUM_NAME:
            raise CheckpointError(f"{where}: name length {name_length}, not in 2..{MAXIMUM_NAME}")
        if not 1 <= rank <= MAXIMUM_RANK:
            raise CheckpointError(f"{where}: rank {rank}, not in 1..{MAXIMUM_RANK}")
        if kind not in (FLOAT32, TEXT, INTGEMM8):
            raise CheckpointError(
                f"{where}: type {kind:#x}, expected float32 0x404, intgemm8 0x4101 or text 0x101"
            )
    names = [_name(cursor, length, i) for i, (length, _, _, _) in enumerate(headers)]
    shapes = [
        _shape(cursor, rank, name) for (_, _, rank, _), name in zip(headers, names, strict=True)
    ]
    (padding,) = struct.unpack("<Q", cursor.take(8, "padding length"))
    cursor.take(padding, "padding")
    items: dict[str, _Item] = {}
    for (_, kind, _, length), name, shape in zip(headers, names, shapes, strict=True):
        start = cursor.offset
        cursor.take(length, f"data of {name}")
        if name in items:
            raise CheckpointError(f"two items named {name}")
        items[name] = _Item(kind, shape, start, cursor.offset)
    if cursor.offset != len(content):
        extra = len(content) - cursor.offset
        raise CheckpointError(f"{extra} bytes too many after the last item, at {cursor.offset}")
    return items


def _name(cursor: Cursor, length: int, index: int) -> str:
    start = cursor.offset
    raw = bytes(cursor.take(length, f"name {index}"))
    name = raw[:-1].decode("ascii", errors="replace")
    if raw[-1] or not name.isascii() or not name.isprintable():
        raise CheckpointError(f"name {index} at byte {start}: not printable text with a final NUL")
    return name


def _shape(cursor: Cursor, rank: int, name: str) -> tuple[int, ...]:
    start = cursor.offset
    shape = struct.unpack(f"<{rank}i", cursor.take(4 * rank, f"shape of {name}"))
    if min(shape) < 1:
        raise CheckpointError(f"shape of {name} at byte {start}: {list(shape)} is not positive")
    return shape


def _tensor(name: str, item: _Item, content: bytes) -> MarianTensor:
    """A tensor of the content, whose data must be as long as its shape says, or padded."""
    number = math.prod(item.shape)
    if item.type == TEXT:
        raise CheckpointError(f"{name} at byte {item.start} is a text, expected a tensor")
    needed = 4 * number if item.type == FLOAT32 else number + 4
    length = item.stop - item.start
    if not needed <= length < needed + ALIGNMENT:
        raise CheckpointError(
            f"data of {name} at byte {item.start}: {length} bytes, but the shape "
            f"{list(item.shape)} takes {needed}"
        )
    if item.type == FLOAT32:
        values = np.frombuffer(content, "<f4", number, item.start).reshape(item.shape)
        return MarianTensor(Stored(name, item.shape, lambda: values.astype(np.float32)))
    (multiplier,) = struct.unpack_from("<f", content, item.start + number)
    if not LEAST_MULTIPLIER < multiplier < LARGEST_MULTIPLIER:
        raise CheckpointError(f"multiplier of {name} at byte {item.start + number}: {multiplier}")
    integers = np.frombuffer(content, np.int8, number, item.start)
    return _multiplied(name, item.shape, integers, 1 / multiplier)


def _multiplied(
    name: str, shape: tuple[int, ...], integers: NDArray[np.int8], step: float
) -> MarianTensor:
    """A tensor of integers, which are multiplied whenever it is read."""
    transposed = len(shape) == 2 and not is_embedding(name)
    integers = integers.reshape(shape[::-1] if transposed else shape)

    def read() -> Float32:
        values: Float32 = (integers * np.float64(step)).astype(np.float32)
        return values.T if transposed else values

    return MarianTensor(Stored(name, shape, read), step)


def _quantised(items: dict[str, _Item]) -> bool:
    return any(item.type == INTGEMM8 for item in items.values())
