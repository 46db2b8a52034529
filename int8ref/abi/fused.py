"""Operations that only the machine has: a product that returns the index of its largest output.

The assembler uses such an operation instead of the `linear` that gives the logits, if only the
likeliest token of each row is needed.
"""

from __future__ import annotations

from typing import Annotated

from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, Result, Rows, Tensor, size
from int8ref.spec.scope import MAX_WIDTH

INPUTS = size("inputs")


class LinearArgmax(Instruction, frozen=True, kw_only=True):
    """out = argmax(linear(x)), `weight` packed, `bias` its start values.

    It begins with the operands of `Linear`, in the same words: one native function runs both.
    """

    runs_as = "linear"

    x: Annotated[str, Rows("int8", INPUTS)]
    weight: Annotated[str, Tensor("int8", (WIDTH, INPUTS))]
    bias: Annotated[str, Tensor("int16 int32", (WIDTH,))]
    out: Annotated[str, Result("int32", 0)]
    columns: Annotated[int, Constant(1, MAX_WIDTH)]


class LinearCoarseArgmax(Instruction, frozen=True, kw_only=True):
    """`LinearArgmax` by coarse weights (`kernels.gemm.coarse`); `weight` is not packed.

    `length` is the length of `coarse_layout.Coarse`.
    """

    x: Annotated[str, Rows("int8", INPUTS)]
    weight: Annotated[str, Tensor("int8", (WIDTH, INPUTS))]
    start: Annotated[str, Tensor("int32", (WIDTH,))]
    coarse: Annotated[str, Tensor("int8", (None, None, None, None))]
    coarse_start: Annotated[str, Tensor("int32", (None,))]
    length: Annotated[int, Constant(0, 2**31 - 1)]
    columns: Annotated[int, Constant(1, MAX_WIDTH)]
    out: Annotated[str, Result("int32", 0)]


FUSED: dict[str, type[Instruction]] = {
    "linear_argmax": LinearArgmax,
    "linear_coarse_argmax": LinearCoarseArgmax,
}
"""The classes by the names of their kernels."""
