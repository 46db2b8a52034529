"""Matrix product with bias, and the requantisation of its accumulators."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import INT32_MAX, WIDE_MAX, requantize, require_range
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, PerChannel, Result, Rows, Sizes, Tensor, size
from int8ref.spec.scope import DType, Facts, Scope, Tensors, ValueType

MIN_FACTOR_SHIFT, MAX_FACTOR_SHIFT = 16, 46
"""Of multipliers: times 2^16 they have 31 bits, and only the high word of the product counts."""
MAX_DEPTH = 2**17 - 1
"""Most products of two int8 whose sum cannot leave int32."""
INPUTS = size("inputs")


class Linear(Instruction, frozen=True):
    """out = linear(x): accumulators (int32), or data on a new scale (int8)."""

    x: Annotated[str, Rows("int8", INPUTS)]
    weight: Annotated[str, Tensor("int8", (WIDTH, INPUTS))]
    bias: Annotated[str, Tensor("int16 int32", (WIDTH,))]
    out: Annotated[str, Result("int8 int32", chosen=lambda instruction: instruction.dtype)]
    bias_shift: Annotated[int, Constant(0, 15)] = 0
    multiplier: Annotated[str, PerChannel("int16", 0, WIDE_MAX)] | None = None
    shift: Annotated[str, PerChannel("int8", 1, MAX_FACTOR_SHIFT)] | None = None
    low: Annotated[int, Constant(-127, 127)] = -127
    high: Annotated[int, Constant(size("low"), 127)] = 127

    @property
    def dtype(self) -> DType:
        """int32 where there is no requantisation, else int8."""
        return "int32" if self.shift is None else "int8"

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        bound = accumulator_bound(scope.facts, self)
        scope.require(bound <= INT32_MAX, f"accumulators may reach {bound}, over 32 bits")
        if self.shift is None:
            scope.require(self.multiplier is None, "a multiplier needs a shift")
        else:
            prove_requantization(scope, self.multiplier, self.shift, bound)

    def work(self, values: dict[str, ValueType], tensors: Tensors) -> int:
        return tensors[self.weight].size


def prove_requantization(scope: Scope, multiplier: str | None, shift: str, bound: int) -> None:
    """Check what relates the operands of a requantisation to int8.

    Multipliers, per tensor ([1]) or per channel ([n]), share one shift of at least 16, so that of
    the product with the multiplier times 2^16 only the high word counts.  Without them there is a
    shift per tensor or per channel, and the accumulator (at most `bound`) must leave room for the
    rounding constant.
    """
    if multiplier is None:
        found = scope.tensor(shift, "int8", (None,), 1, 30)
        scope.require(bound + 2 ** (int(found.max()) - 1) <= INT32_MAX, "shift is too large")
    else:
        scope.tensor(shift, "int8", (1,), MIN_FACTOR_SHIFT, MAX_FACTOR_SHIFT)


def accumulator_bound(facts: Facts, linear: Linear) -> int:
    """An upper bound of |x . weight^T + bias| over every int8 x.

    The cheap bound (every product at most 128 * 128) decides nearly always; where it does not, the
    real rows of the weight do.
    """
    largest_bias = facts.largest_magnitude(linear.bias) << linear.bias_shift
    bound: int = 128 * 128 * facts.tensors[linear.weight].shape[1] + largest_bias
    if bound <= INT32_MAX:
        return bound
    return 128 * facts.largest_row_sum(linear.weight) + largest_bias


def linear(
    x: npt.NDArray[np.int8],
    weight: npt.NDArray[np.int8],
    bias: npt.NDArray[np.int16] | npt.NDArray[np.int32],
    bias_shift: int = 0,
    multiplier: npt.NDArray[np.int16] | None = None,
    shift: npt.NDArray[np.int8] | None = None,
    low: int = -127,
    high: int = 127,
) -> npt.NDArray[np.int8] | npt.NDArray[np.int32]:
    """Multiply by a weight matrix.

        acc[r, n] = sum_k x[r, k] * weight[n, k] + bias[n] * 2^bias_shift           (int32, exact)
        out[r, n] = requantize(acc[r, n], multiplier[n], shift, low, high)          (A2)

    `x`: int8 [rows, k]; `weight`: int8 [n, k]; `bias`: int16 or int32 [n]; `multiplier`: int16, one
    number for all channels ([1]) or one each ([n]), in [0, 2^15); `shift`: int8 [1] in [16, 46];
    out: int8 [rows, n] in [low, high].  Without `multiplier` it is 1 and `shift`, in [1, 30], may
    be one a channel (the shift-only re-scaling of Lin et al. 2020); without `shift` the
    accumulators themselves are returned.  low = 0 is ReLU.  The scale of acc is the product of the
    scales of x and of weight, per channel where the weight has one a channel.

    Raises `OverflowError` where an accumulator leaves int32.
    """
    product = np.matmul(x, weight.T, dtype=np.int32 if len(weight[0]) <= MAX_DEPTH else np.int64)
    acc: npt.NDArray[np.int64] = product + (bias.astype(np.int64) << bias_shift)
    require_range(acc, -INT32_MAX - 1, INT32_MAX, "linear: accumulator")
    if shift is None:
        return acc.astype(np.int32)
    data = requantize(acc, 1 if multiplier is None else multiplier, shift, low, high)
    return data.astype(np.int8)
