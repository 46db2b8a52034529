"""Marian's NumPy checkpoint (.npz): a zip of float32 arrays, and the options as a text of int8.

Arrays have the header that Marian writes (NumPy format 1.0, little endian, C order); pickled
objects have no place in it.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.sources import zip_members
from weights_import.sources.marian import (
    OPTIONS,
    MarianTensor,
    assemble,
)
from weights_import.sources.tokenizers import tokenizer_files
from weights_import.tensors import Stored

FORMAT = "Marian NumPy (.npz, float32)"
MAGIC = b"\x93NUMPY\x01\x00"
HEADER = re.compile(
    rb"\{'descr': '([<|][a-z][0-9])', 'fortran_order': False, "
    rb"'shape': \(([0-9]{1,10}(?:, ?[0-9]{1,10}){0,3}),?\),? ?\} *\n"
)
Number = TypeVar("Number", np.float32, np.int8)


def recognises(path: Path) -> bool:
    """Whether the file is a zip that names the options of a Marian model."""
    return f"{OPTIONS}.npy" in zip_members.names(path)


def companions(path: Path) -> list[Path]:
    """Its tokenizers."""
    return tokenizer_files(path.parent)


def read(path: Path) -> FloatModel:
    """Reads a checkpoint; raises CheckpointError with what is wrong and in which member.

    The sizes of all members are checked before the first one is expanded.
    """
    with located(path):
        members = {n.removesuffix(".npy"): x for n, x in zip_members.members(path).items()}
        if OPTIONS not in members:
            raise CheckpointError(f"no array named {OPTIONS}")
        text = _array(OPTIONS, members.pop(OPTIONS), np.int8)
        stored = {
            name: MarianTensor(Stored.of(_array(name, content, np.float32), name))
            for name, content in members.items()
        }
        provenance = {
            "file": path.name,
            "format": "Marian float32",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        return assemble(stored, text.tobytes(), provenance, path.parent)


def _array(name: str, content: bytes, dtype: type[Number]) -> NDArray[Number]:
    """One .npy member of this type, whose data must be exactly as long as its header says."""
    start = len(MAGIC) + 2
    if len(content) < start or not content.startswith(MAGIC):
        raise CheckpointError(f"{name}: not an array in NumPy format 1.0")
    (length,) = struct.unpack_from("<H", content, len(MAGIC))
    header = content[start : start + length]
    match = HEADER.fullmatch(header)
    if match is None:
        raise CheckpointError(f"{name}: unsupported array header {header[:100]!r}")
    stored = np.dtype(dtype).newbyteorder("<")
    if match[1].decode() not in (stored.str, f"<{stored.str[1:]}"):
        raise CheckpointError(f"{name}: type {match[1].decode()}, expected {stored.str}")
    shape = tuple(int(size) for size in match[2].split(b","))
    needed, left = math.prod(shape) * stored.itemsize, len(content) - start - length
    if needed != left:
        raise CheckpointError(f"{name}: shape {list(shape)} takes {needed} bytes, not {left}")
    return np.frombuffer(content, stored, offset=start + length).reshape(shape).astype(dtype)
