"""Multiplications and bytes of an instruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from int8ref.reference.attention import Attention
from int8ref.reference.linear import Linear
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import Tensors, ValueType

FOR_EACH_ELEMENT = {
    "embed": 1,
    "requantize": 1,
    "narrow": 1,
    "multiply": 2,
    "match_add": 2,
    "interpolate": 1,
    "ssru": 2,
    "rotary": 3,
    "layer_norm_l1": 2,
    "layer_norm_l2": 3,
    "rms_norm": 3,
    "rms_norm_heads": 3,
    "rms_norm_branch": 4,
    "normalize": 3,
    "pool": 1,
    "log_softmax": 1,
}
"""Multiplications of the formula of an operation for each element of its result.

A product of the width and a sum counts once a row and is left out.  A table of positions has one
more multiplication.
"""


def multiplications(instruction: Any, types: Mapping[str, ValueType]) -> tuple[int, int]:
    """Return (multiplications of a row, and those for each key that the row sees).

    The requantisation of a result counts one.  A polynomial of 2^-x and a reciprocal count none.
    """
    width = types[instruction.names("result")[0]].width
    if isinstance(instruction, Linear):
        inputs = types[instruction.x].width
        return width * (inputs + (instruction.multiplier is not None)), 0
    if isinstance(instruction, Attention):
        heads, columns = instruction.heads, instruction.width
        return columns + heads, 2 * columns + heads
    found = FOR_EACH_ELEMENT.get(instruction.op, 0) * width
    if getattr(instruction, "position_multiplier", 0):
        found += width
    return found, 0


def weight_bytes(names: list[str], tensors: Tensors) -> int:
    """Bytes of tensors, each of which counts once."""
    return sum(tensors[name].nbytes for name in set(names))


def row_bytes(names: list[str], types: Mapping[str, ValueType]) -> int:
    """Bytes of one row of values."""
    return sum(max(types[n].width, 1) * np.dtype(types[n].dtype).itemsize for n in names)


def read_bytes(instruction: Instruction, tensors: Tensors) -> int:
    """Bytes of the tensors that one row reads: all, but one row of a table of embeddings."""
    total = 0
    for field, kind, content in instruction.operands():
        if kind == "tensor" and content is not None:
            tensor = tensors[content]
            tables = ("table", "position_table", "cosine", "sine")
            one_row = instruction.op in ("embed", "rotary") and field in tables
            total += tensor.nbytes // len(tensor) if one_row else tensor.nbytes
    return total
