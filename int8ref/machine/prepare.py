"""Tensors in the form that kernels read: packed weights, start values, one factor a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from int8ref.instruction import Instruction, ValueType
from int8ref.kernels.gemm.layout import pack, start_values
from int8ref.program import Program, Tensors
from int8ref.reference.linear import Linear

if TYPE_CHECKING:
    from int8ref.kernels.gemm.coarse_layout import Coarse

PER_CHANNEL = {
    "linear": ("multiplier", "shift"),
    "match_add": ("a_multiplier", "b_multiplier"),
    "requantize": ("multiplier", "shift"),
}
"""Operands given per tensor or per channel, which kernels take as int32 per channel."""


class Prepared:
    """The tensors of a valid Program as its kernels take them: each is made once, when first asked
    for, and shared by all code of the Program.

    `kept` are weights that were packed before, and their start values (see `packed`).  Not to be
    used from several threads at once.
    """

    def __init__(self, tensors: Tensors, types: dict[str, ValueType], kept: Tensors) -> None:
        self._tensors, self._types = tensors, types
        self._weights = dict(kept)
        self._found: dict[tuple[str, ...], dict[str, npt.NDArray[Any]]] = {}

    def of(self, instruction: Instruction, plain: bool) -> dict[str, npt.NDArray[Any]]:
        """Field -> array for the tensor operands of an instruction.

        With `plain`, a weight is not packed.
        """
        names = tuple(instruction.names("tensor"))
        if names not in self._found:
            self._found[names] = self._prepare(instruction)
        found = self._found[names]
        if isinstance(instruction, Linear):
            weight = self._tensors[instruction.weight] if plain else self._packed(instruction)
            found = {**found, "weight": np.ascontiguousarray(weight)}
        return found

    def _prepare(self, instruction: Instruction) -> dict[str, npt.NDArray[Any]]:
        found = {
            field: self._tensors[name]
            for field, kind, name in instruction.operands()
            if kind == "tensor" and name is not None
        }
        if isinstance(instruction, Linear):
            del found["weight"]
            name = start_name(instruction)
            if name not in self._weights:
                self._weights[name] = start(instruction, self._tensors)
            found["bias"] = self._weights[name]
        width = self._types[instruction.names("result")[0]].width
        for field in PER_CHANNEL.get(instruction.op, ()):
            if field in found:
                found[field] = np.broadcast_to(found[field].astype(np.int32), (width,))
        return {field: np.ascontiguousarray(array) for field, array in found.items()}

    def coarse(self, head: Instruction) -> Coarse | None:
        """The coarse weights of the instruction that gives the logits, if they are of use."""
        from int8ref.kernels.gemm.coarse_layout import pack_coarse

        assert isinstance(head, Linear)
        bias = self._tensors[head.bias].astype(np.int64) << head.bias_shift
        return pack_coarse(self._tensors[head.weight], bias.astype(np.int32))

    def _packed(self, instruction: Linear) -> npt.NDArray[Any]:
        if instruction.weight not in self._weights:
            self._weights[instruction.weight] = pack(self._tensors[instruction.weight])
        return self._weights[instruction.weight]


def linears(program: Program) -> list[Linear]:
    """The matrix products of a Program."""
    return [i for i in (*program.encoder, *program.decoder) if isinstance(i, Linear)]


def start_name(instruction: Linear) -> str:
    """A name for the start values of a product."""
    return f"{instruction.weight} + {instruction.bias} << {instruction.bias_shift}"


def start(instruction: Linear, tensors: Tensors) -> npt.NDArray[np.int32]:
    """What the accumulators of a product start from (`kernels.gemm.layout.start_values`)."""
    bias = (tensors[instruction.bias].astype(np.int64) << instruction.bias_shift).astype(np.int32)
    return start_values(tensors[instruction.weight], bias)
