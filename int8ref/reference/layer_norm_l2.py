"""Layer normalisation by the standard deviation."""

from functools import cache

import numpy as np
import numpy.typing as npt

from int8ref.reference.layer_norm import (
    FRACTION_BITS,
    LayerNorm,
    centre,
    divide_and_scale,
    sum_of_squares,
)
from int8ref.spec.arithmetic import isqrt
from int8ref.spec.trace import note


class LayerNormL2(LayerNorm, frozen=True):
    """(out, wide) = layer_norm_l2(x)."""

    max_epsilon = 2**60

    def bound(self, width: int) -> int:
        return normalized_bound(width)


@cache
def normalized_bound(width: int) -> int:
    """Upper bound of |t| in `layer_norm_l2`: twice sqrt(width), because the root is rounded
    down."""
    root = int(isqrt(np.array(width)))
    return 2 * (root + 1) << FRACTION_BITS


def layer_norm_l2(
    x: npt.NDArray[np.int16],
    gain: npt.NDArray[np.int16],
    bias: npt.NDArray[np.int16],
    bias_shift: int,
    shift: int,
    epsilon: int,
    wide_bits: int,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Normalise each row to mean 0 and standard deviation 1, then apply gain and bias.

        c[i] = n * x[i] - sum(x)                                        (exact: n times x - mean)
        v    = n * sum(x^2) - sum(x)^2 + epsilon         (sum(c^2) / n, or n^2 times the variance)
        s    = max(isqrt(v), 1)                                 (n times the standard deviation)
        t[i] = rounding_shift_right(c[i] * r, k - 10)        (r, k) = reciprocal(s)        (A1, A3)
        y[i] = t[i] * gain[i] + bias[i] * 2^bias_shift
        out[i]  = saturate8(rounding_shift_right(y[i], shift))
        wide[i] = saturate16(rounding_shift_right(y[i], shift - wide_bits))

    The operands and results are

        x           int16 [rows, n], 1 <= n <= 8192
        gain, bias  int16 [n]
        bias_shift  0 to 15
        shift       1 to 30
        epsilon     0 to 2^60, in units of v
        wide_bits   1 to min(shift, 15); 0 in a Program that has no `wide`
        out         int8 [rows, n], in [-127, 127]
        wide        int16 [rows, n], in [-32767, 32767]

    saturate8 clamps to [-127, 127], and saturate16 to [-32767, 32767].  v is exact.  The root and
    the reciprocal round down, and every shift rounds half up.  t has 10 fraction bits, and
    |t| <= 2 * (isqrt(n) + 1) * 2^10.  A valid Program has |y| + 2^(shift - 1) < 2^31.  The scale of
    x cancels, and the scale of y is in gain, bias and shift.  A constant row has t = 0, so that y
    is its bias.

    `out` is the input of matrix products.  `wide` is the same number with `wide_bits` more fraction
    bits, for the residual sum.

    Raises `OverflowError` if n is outside its range.  No operand in these ranges makes v
    negative, or 2^62 or more.

    Source: Ba et al. 2016, Eq. 4, in integers.
    """
    centred = centre(x)
    total = x.sum(axis=1, keepdims=True, dtype=np.int64)
    variance = x.shape[1] * sum_of_squares(x) - total * total + epsilon
    note("sum", total)
    note("v", variance)
    deviation = np.maximum(isqrt(variance), 1)
    return divide_and_scale(centred, deviation, gain, bias, bias_shift, shift, wide_bits)
