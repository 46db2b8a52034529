"""The shared part of all layer normalisation: gain, bias, and results of two widths."""

from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import (
    DATA_MAX,
    INT32_MAX,
    WIDE_MAX,
    Integers,
    reciprocal,
    require_range,
    rounding_shift_right,
    saturate,
)
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, Result, Rows, Sizes, Tensor, least, size
from int8ref.spec.scope import Scope
from int8ref.spec.trace import note

FRACTION_BITS = 10
"""Fraction bits of the normalised value, before gain and bias."""
MAX_BIAS_SHIFT = 15
MAX_WIDTH = 8192
"""Widest row, n = 8192.  n * sum(x^2) is at most 2^56, and |c| at most (n - 1) * 65535 < 2^29."""

Int64 = npt.NDArray[np.int64]


class LayerNorm(Instruction, frozen=True, kw_only=True):
    """Operands of every layer normalisation.

    `wide` is optional.  `wide_bits` is 0 without it, and at least 1 with it.
    """

    max_epsilon: ClassVar[int]

    x: Annotated[str, Rows("int16")]
    gain: Annotated[str, Tensor("int16", (WIDTH,))]
    bias: Annotated[str, Tensor("int16", (WIDTH,))]
    bias_shift: Annotated[int, Constant(0, MAX_BIAS_SHIFT)]
    shift: Annotated[int, Constant(1, 30)]
    epsilon: Annotated[int, Constant(0, size("max_epsilon"))]
    wide_bits: Annotated[int, Constant(0, least(size("shift"), 15))]
    out: Annotated[str, Result("int8")]
    wide: Annotated[str, Result("int16")] | None = None

    def bound(self, width: int) -> int:
        """Upper bound of |t| for rows of this width; t is the normalised value."""
        raise NotImplementedError

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        width = sizes.of(WIDTH)
        scope.constant("width", width, 1, MAX_WIDTH)
        least_bits, most_bits = (0, 0) if self.wide is None else (1, 15)
        scope.constant("wide_bits", self.wide_bits, least_bits, most_bits)
        gain, bias = (scope.facts.largest_magnitude(name) for name in (self.gain, self.bias))
        largest = self.bound(width) * gain + (bias << self.bias_shift) + 2 ** (self.shift - 1)
        scope.require(largest <= INT32_MAX, f"gain and bias may reach {largest}, over 32 bits")


def check_width(x: npt.NDArray[np.integer[Any]]) -> None:
    """Raise `OverflowError` unless a row has 1 to 8192 columns."""
    require_range(x.shape[1], 1, MAX_WIDTH, "norm: columns")


def centre(x: npt.NDArray[np.int16]) -> Int64:
    """c[i] = n * x[i] - sum(x), which is exactly n times x[i] - mean.

    Raises `OverflowError` unless a row has 1 to 8192 columns.
    """
    check_width(x)
    wide = x.astype(np.int64)
    centred: Int64 = wide.shape[1] * wide - wide.sum(axis=1, keepdims=True)
    return centred


def sum_of_squares(x: npt.NDArray[np.int16]) -> Int64:
    """sum(x^2) of each row: [rows, 1].

    Raises `OverflowError` unless a row has 1 to 8192 columns.
    """
    check_width(x)
    wide = x.astype(np.int64)
    total: Int64 = (wide * wide).sum(axis=1, keepdims=True)
    note("squares", total)
    return total


def divide_and_scale(
    centred: Int64,
    deviation: Integers,
    gain: npt.NDArray[np.int16],
    bias: npt.NDArray[np.int16],
    bias_shift: int,
    shift: int,
    wide_bits: int,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Divide by the deviation [rows, 1], then apply gain and bias.

        t[i] = rounding_shift_right(c[i] * r, k - 10)        (r, k) = reciprocal(deviation)
        y[i] = t[i] * gain[i] + bias[i] * 2^bias_shift
        out[i]  = saturate8(rounding_shift_right(y[i], shift))
        wide[i] = saturate16(rounding_shift_right(y[i], shift - wide_bits))

    saturate8 clamps to [-127, 127], and saturate16 to [-32767, 32767].
    """
    r, k = reciprocal(deviation)
    t = rounding_shift_right(centred * r, k - FRACTION_BITS)
    y = t * gain + (bias.astype(np.int64) << bias_shift)
    for name, value in (("c", centred), ("s", deviation), ("t", t), ("y", y)):
        note(name, value)
    out = saturate(rounding_shift_right(y, shift), -DATA_MAX, DATA_MAX)
    wide = saturate(rounding_shift_right(y, shift - wide_bits), -WIDE_MAX, WIDE_MAX)
    return out.astype(np.int8), wide.astype(np.int16)
