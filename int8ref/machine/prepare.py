"""Tensors in the form that kernels read: packed weights, start values, one factor a channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.instruction import Instruction, ValueType
from int8ref.kernels.gemm.coarse_layout import Coarse, pack_coarse, useful
from int8ref.kernels.gemm.layout import WIDE, narrow, pack, start_values
from int8ref.kernels.gemm.quads import OFFSET, usable
from int8ref.program import Program, Tensors
from int8ref.reference.linear import Linear

LENGTHS = 16
"""How often the length of coarse weights is kept: what lies behind it in a file stays aligned."""

PER_CHANNEL = ("multiplier", "a_multiplier")
"""Operands given per tensor or per channel, which kernels take per channel; a shift without a
multiplier is another.  (The other multiplier of `match_add` is mostly one number, and stays it.)"""


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

        With `plain`, a weight is not packed, and has start values in 32 bits.
        """
        names = tuple(instruction.names("tensor"))
        if names not in self._found:
            self._found[names] = self._prepare(instruction)
        found = self._found[names]
        if isinstance(instruction, Linear):
            weight = self._tensors[instruction.weight] if plain else self.packed(instruction.weight)
            bias = self._start(instruction, self.quads(instruction, plain), plain)
            found = {**found, "weight": np.ascontiguousarray(weight), "bias": bias}
        return found

    def quads(self, instruction: Instruction, plain: bool) -> bool:
        """Whether an instruction is a product that adds up quads in 16 bits (`kernels.gemm.quads`);
        one whose weight is `plain` does not."""
        if plain or not isinstance(instruction, Linear):
            return False
        if start_name(instruction, True) in self._weights:
            return True
        if start_name(instruction) in self._weights:
            return False
        return usable(self._tensors[instruction.weight])

    def _start(self, instruction: Linear, quads: bool, plain: bool) -> npt.NDArray[Any]:
        name = start_name(instruction, quads, plain)
        if name not in self._weights:
            self._weights[name] = start(instruction, self._tensors, quads, plain)
        return self._weights[name]

    def _prepare(self, instruction: Instruction) -> dict[str, npt.NDArray[Any]]:
        found = {
            field: self._tensors[name]
            for field, kind, name in instruction.operands()
            if kind == "tensor" and name is not None
        }
        if isinstance(instruction, Linear):
            del found["weight"], found["bias"]
        width = self._types[instruction.names("result")[0]].width
        fields = PER_CHANNEL if "multiplier" in found else (*PER_CHANNEL, "shift")
        for field in found.keys() & fields:
            found[field] = np.broadcast_to(found[field], (width,))
        return {field: np.ascontiguousarray(array) for field, array in found.items()}

    def coarse(self, head: Linear) -> Coarse | None:
        """The coarse weights of the product that gives the logits, if they are of use."""
        names = coarse_names(head)
        if names[0] not in self._weights:  # nor are the others
            self._weights |= coarse(head, self._tensors)
        if names[0] not in self._weights:
            return None
        weight, start, length = (self._weights[name] for name in names)
        return Coarse(weight, start, int(length[0]))

    def packed(self, name: str) -> npt.NDArray[np.int8]:
        """A weight as the products read it."""
        if name not in self._weights:
            self._weights[name] = pack(self._tensors[name])
        return self._weights[name]


def linears(program: Program) -> list[Linear]:
    """The matrix products of a Program."""
    return [i for i in (*program.encoder, *program.decoder) if isinstance(i, Linear)]


def head(program: Program) -> Linear:
    """The product that gives the logits."""
    found = program.decoder[-1]
    assert isinstance(found, Linear)
    return found


def start_name(instruction: Linear, quads: bool = False, plain: bool = False) -> str:
    """A name for the start values of a product: of one that adds up quads, of one whose weight is
    plain, or of another."""
    name = f"{instruction.weight} + {instruction.bias} << {instruction.bias_shift}"
    return f"{name}: plain" if plain else f"{name}: quads" if quads else name


def start(
    instruction: Linear, tensors: Tensors, quads: bool = False, plain: bool = False
) -> npt.NDArray[np.int32] | npt.NDArray[np.int16]:
    """What the accumulators of a product start from (`kernels.gemm.layout.start_values`): in 16
    bits, in units of 2^bias_shift, where they fit, but for a plain weight."""
    bias = shifted_bias(instruction, tensors)
    wide = start_values(tensors[instruction.weight], bias, OFFSET if quads else None)
    units = None if plain else narrow(wide, instruction.bias_shift)
    return wide if units is None else units


def start_shift(instruction: Linear, start: npt.NDArray[Any]) -> int:
    """The unit of start values, for kernels."""
    return WIDE if start.dtype == np.int32 else instruction.bias_shift


def shifted_bias(instruction: Linear, tensors: Tensors) -> npt.NDArray[np.int32]:
    """The bias of a product in units of its accumulators."""
    return (tensors[instruction.bias].astype(np.int64) << instruction.bias_shift).astype(np.int32)


def coarse_names(head: Linear) -> tuple[str, str, str]:
    """Names for the parts of a `Coarse`."""
    name = start_name(head)
    return f"{name}: coarse weight", f"{name}: coarse start", f"{name}: coarse length"


def coarse(head: Linear, tensors: Tensors) -> Tensors:
    """The coarse weights of a product by `coarse_names`; nothing where they are of no use."""
    weight, bias = tensors[head.weight], shifted_bias(head, tensors)
    if not useful(weight.shape[1], bias):
        return {}
    found = pack_coarse(weight, bias)
    parts = found.weight, found.start, np.full(LENGTHS, found.length, np.int32)
    return dict(zip(coarse_names(head), parts, strict=True))
