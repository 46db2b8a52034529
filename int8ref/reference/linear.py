"""Matrix product with bias, and requantisation of its accumulators."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import INT32_MAX, WIDE_MAX, requantize, require_range
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, PerChannel, Result, Rows, Sizes, Tensor, size
from int8ref.spec.scope import DType, Facts, Scope, Tensors, ValueType
from int8ref.spec.trace import note

MIN_FACTOR_SHIFT, MAX_FACTOR_SHIFT = 16, 46
"""Range of the shift that multipliers need.  A multiplier times 2^16 has 31 bits, so that only the
high word of its product counts."""
MAX_DEPTH = 2**17 - 1
"""Largest number of products of two int8 whose sum cannot leave int32."""
INPUTS = size("inputs")


class Linear(Instruction, frozen=True):
    """out = linear(x): accumulators (int32), or requantised data (int8)."""

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
        """int32 without requantisation, else int8."""
        return "int32" if self.shift is None else "int8"

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        bound = accumulator_bound(scope.facts, self)
        scope.require(bound <= INT32_MAX, f"accumulators may reach {bound}, over 32 bits")
        if self.shift is None:
            scope.require(self.multiplier is None, "a multiplier needs a shift")
        else:
            prove_requantization(scope, self.multiplier, self.shift, bound)

    def work(self, values: dict[str, ValueType], tensors: Tensors, keys: int) -> int:
        return tensors[self.weight].size


def prove_requantization(scope: Scope, multiplier: str | None, shift: str, bound: int) -> None:
    """Check relations between the operands of a requantisation to int8.

    Multipliers, per tensor ([1]) or per channel ([n]), share one shift of at least 16.  Then only
    the high word of the accumulator times (multiplier * 2^16) counts.  Without multipliers there is
    a shift per tensor or per channel, and |accumulator| <= `bound` must leave room for the rounding
    constant.
    """
    if multiplier is None:
        found = scope.tensor(shift, "int8", (None,), 1, 30)
        scope.require(bound + 2 ** (int(found.max()) - 1) <= INT32_MAX, "shift is too large")
    else:
        scope.tensor(shift, "int8", (1,), MIN_FACTOR_SHIFT, MAX_FACTOR_SHIFT)


def accumulator_bound(facts: Facts, linear: Linear) -> int:
    """Upper bound of |x . weight^T + bias| for every int8 x.

    The first bound takes 128 * 128 for every product.  Only if this bound exceeds int32, the second
    bound reads the rows of the weight.
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
    """Multiply by a weight matrix, and add a bias.

        acc[r, n] = sum_k x[r, k] * weight[n, k] + bias[n] * 2^bias_shift           (int32, exact)
        out[r, n] = requantize(acc[r, n], multiplier[n], shift, low, high)                    (A2)

    The operands are

        x           int8 [rows, k], all 256 values
        weight      int8 [n, k], all 256 values
        bias        int16 or int32 [n]
        bias_shift  0 to 15
        multiplier  int16 in [0, 2^15), [1] for all channels or [n]; or None
        shift       int8; with a multiplier [1], in [16, 46]; without one [1] or [n], in [1, 30];
                    or None
        low         -127 to 127; 0 is ReLU
        high        low to 127

    Without `multiplier`, it is 1: the shift-only re-scaling.  out is int8 [rows, n] in [low, high].
    Without `shift`, out is acc, int32 [rows, n].  acc is rounded once, half up.  The scale of acc
    is the scale of x times the scale of weight, which may be one number for each channel.

    A valid Program has |acc| < 2^31, and without a multiplier also |acc| + 2^(shift - 1) < 2^31.

    Raises `OverflowError` if an accumulator leaves int32.  Raises `ValueError` if a `multiplier` is
    given without a `shift`.

    Source: Lin et al. 2020, Eq. 10 (shift-only re-scaling); Jacob et al. 2018, Eq. 6 (multipliers).
    """
    if shift is None and multiplier is not None:
        raise ValueError("linear: a multiplier needs a shift")
    product = np.matmul(x, weight.T, dtype=np.int32 if len(weight[0]) <= MAX_DEPTH else np.int64)
    acc: npt.NDArray[np.int64] = product + (bias.astype(np.int64) << bias_shift)
    require_range(acc, -INT32_MAX - 1, INT32_MAX, "linear: accumulator")
    note("acc", acc)
    if shift is None:
        return acc.astype(np.int32)
    data = requantize(acc, 1 if multiplier is None else multiplier, shift, low, high)
    return data.astype(np.int8)
