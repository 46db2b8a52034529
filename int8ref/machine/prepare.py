"""Tensors in the form that kernels read: packed weights, start values, one factor a channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.instruction import Instruction, ValueType
from int8ref.kernels.gemm.layout import pack, start_values
from int8ref.program import Tensors
from int8ref.reference.linear import Linear

PER_CHANNEL = {
    "linear": ("multiplier", "shift"),
    "match_add": ("a_multiplier", "b_multiplier"),
    "requantize": ("multiplier", "shift"),
}
"""Operands given per tensor or per channel, which kernels take as int32 per channel."""


def prepare(
    instruction: Instruction, tensors: Tensors, types: dict[str, ValueType], plain: bool
) -> dict[str, npt.NDArray[Any]]:
    """Field -> array for the tensor operands of an instruction, as its kernel takes them.

    With `plain`, a weight is not packed.
    """
    found = {
        field: tensors[name]
        for field, kind, name in instruction.operands()
        if kind == "tensor" and name is not None
    }
    if isinstance(instruction, Linear):
        weight = found["weight"]
        bias = (found["bias"].astype(np.int64) << instruction.bias_shift).astype(np.int32)
        packed = weight if plain else pack(weight)
        found |= {"weight": packed, "bias": start_values(weight, bias)}
    width = types[instruction.names("result")[0]].width
    for field in PER_CHANNEL.get(instruction.op, ()):
        if field in found:
            found[field] = np.broadcast_to(found[field].astype(np.int32), (width,))
    return {field: np.ascontiguousarray(array) for field, array in found.items()}
