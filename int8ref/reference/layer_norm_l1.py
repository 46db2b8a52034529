"""Layer normalisation by the mean absolute deviation."""

from functools import cache

import numpy as np
import numpy.typing as npt

from int8ref.reference.layer_norm import FRACTION_BITS, LayerNorm, centre, divide_and_scale
from int8ref.spec.trace import note


class LayerNormL1(LayerNorm, frozen=True):
    """(out, wide) = layer_norm_l1(x)."""

    max_epsilon = 2**30

    def bound(self, width: int) -> int:
        return normalized_bound(width)


@cache
def normalized_bound(width: int) -> int:
    """Upper bound of |t| in `layer_norm_l1`: width / 2, because no |c| exceeds half of sum(|c|)."""
    return width << (FRACTION_BITS - 1)


def layer_norm_l1(
    x: npt.NDArray[np.int16],
    gain: npt.NDArray[np.int16],
    bias: npt.NDArray[np.int16],
    bias_shift: int,
    shift: int,
    epsilon: int,
    wide_bits: int,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Normalise each row to mean 0 and mean absolute deviation 1, then apply gain and bias.

        c[i] = n * x[i] - sum(x)                                        (exact: n times x - mean)
        s    = max(ceil(sum(|c|) / n) + epsilon, 1)          (n times the mean absolute deviation)
        t[i] = rounding_shift_right(c[i] * r, k - 10)        (r, k) = reciprocal(s)        (A1, A3)
        y[i] = t[i] * gain[i] + bias[i] * 2^bias_shift
        out[i]  = saturate8(rounding_shift_right(y[i], shift))
        wide[i] = saturate16(rounding_shift_right(y[i], shift - wide_bits))

    The operands and results are

        x           int16 [rows, n], 1 <= n <= 8192
        gain, bias  int16 [n]
        bias_shift  0 to 15
        shift       1 to 30
        epsilon     0 to 2^30, in units of s
        wide_bits   1 to min(shift, 15); 0 in a Program that has no `wide`
        out         int8 [rows, n], in [-127, 127]
        wide        int16 [rows, n], in [-32767, 32767]

    saturate8 clamps to [-127, 127], and saturate16 to [-32767, 32767].  ceil rounds up, the
    reciprocal rounds down, and every shift rounds half up.  t has 10 fraction bits, and
    |t| <= n / 2 * 2^10.  A valid Program has |y| + 2^(shift - 1) < 2^31.  The scale of x cancels,
    and the scale of y is in gain, bias and shift.  A constant row has t = 0, so that y is its bias.

    `out` is the input of matrix products.  `wide` is the same number with `wide_bits` more fraction
    bits, for the residual sum.

    Raises `OverflowError` if n is outside its range.  No operand in these ranges makes s
    2^32 or more.

    Source: Lin et al. 2020, Eq. 13, in integers.  The gain contains constant factors, such as
    sqrt(2 / pi).
    """
    centred = centre(x)
    total = np.abs(centred).sum(axis=1, keepdims=True)
    note("sum", total)
    deviation = np.maximum(-(-total // x.shape[1]) + epsilon, 1)
    return divide_and_scale(centred, deviation, gain, bias, bias_shift, shift, wide_bits)
