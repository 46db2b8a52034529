"""Layer normalisation by the standard deviation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from int8ref.arithmetic import (
    DATA_MAX,
    INT32_MAX,
    WIDE_MAX,
    isqrt,
    reciprocal,
    rounding_shift_right,
    saturate,
)
from int8ref.instruction import (
    Instruction,
    Result,
    Scope,
    Tensor,
    Value,
    ValueType,
    largest_magnitude,
)

FRACTION_BITS = 10
"""Fraction bits of the normalised value, before gain and bias."""
MAX_WIDTH = 1024
"""Widest row: the sum of squares stays below 2^62 (width^3 * 2^32)."""


class LayerNormL2(Instruction, frozen=True):
    """(out, wide) = layer_norm_l2(x)."""

    x: Value
    gain: Tensor
    bias: Tensor
    shift: int
    epsilon: int
    wide_bits: int
    out: Result
    wide: Result

    def check(self, scope: Scope) -> None:
        x = scope.value(self.x, "int16")
        scope.constant("width", x.width, 1, MAX_WIDTH)
        gain = scope.tensor(self.gain, "int16", (x.width,))
        bias = scope.tensor(self.bias, "int32", (x.width,))
        scope.constant("shift", self.shift, 1, 30)
        scope.constant("wide_bits", self.wide_bits, 1, min(self.shift, 15))
        scope.constant("epsilon", self.epsilon, 0, 2**60)
        bound = (
            normalized_bound(x.width) * largest_magnitude(gain)
            + largest_magnitude(bias)
            + 2 ** (self.shift - 1)
        )
        scope.require(bound <= INT32_MAX, f"gain and bias may reach {bound}, over 32 bits")
        scope.define(self.out, ValueType(x.domain, "int8", x.width))
        scope.define(self.wide, ValueType(x.domain, "int16", x.width))


def normalized_bound(width: int) -> int:
    """An upper bound of |t| in `layer_norm_l2`: twice sqrt(width), as the root is rounded down."""
    root = int(isqrt(np.array(width)))
    return 2 * (root + 1) << FRACTION_BITS


def layer_norm_l2(
    x: npt.NDArray[np.int16],
    gain: npt.NDArray[np.int16],
    bias: npt.NDArray[np.int32],
    shift: int,
    epsilon: int,
    wide_bits: int,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Normalise each row to mean 0 and standard deviation 1, then apply gain and bias.

        c[i] = n * x[i] - sum(x)                                        (exact: n times x - mean)
        v    = floor(sum(c^2) / n) + epsilon                            (n^2 times the variance)
        s    = max(isqrt(v), 1)
        t[i] = rounding_shift_right(c[i] * r, k - 10)    (r, k) = reciprocal(s)
        y[i] = t[i] * gain[i] + bias[i]
        out[i]  = saturate8(rounding_shift_right(y[i], shift))
        wide[i] = saturate16(rounding_shift_right(y[i], shift - wide_bits))

    `x`: int16 [rows, n], n <= 1024; `gain`: int16 [n]; `bias`: int32 [n]; out: int8
    [rows, n] in [-127, 127], for the products; wide: int16 [rows, n] in [-32767, 32767], the same
    with `wide_bits` more fraction bits, for the residual.  The scale of x cancels (Ba et al. 2016,
    Eq. 4, in integers); t has 10 fraction bits; the scale of y is in gain, bias and shift.
    `epsilon` is the usual constant under the root, in units of v.  A constant row gives its bias.
    """
    wide = x.astype(np.int64)
    n = wide.shape[1]
    centred = n * wide - wide.sum(axis=1, keepdims=True)
    variance = (centred * centred).sum(axis=1, keepdims=True) // n + epsilon
    r, k = reciprocal(np.maximum(isqrt(variance), 1))
    normalized = rounding_shift_right(centred * r, k - FRACTION_BITS)
    y = normalized * gain + bias
    out = saturate(rounding_shift_right(y, shift), -DATA_MAX, DATA_MAX)
    wide = saturate(rounding_shift_right(y, shift - wide_bits), -WIDE_MAX, WIDE_MAX)
    return out.astype(np.int8), wide.astype(np.int16)
