"""Layer normalisation by the root of the mean square."""

import numpy as np
import numpy.typing as npt

from int8ref.reference.layer_norm import LayerNorm, divide_and_scale, sum_of_squares
from int8ref.reference.layer_norm_l2 import normalized_bound
from int8ref.spec.arithmetic import isqrt
from int8ref.spec.trace import note

__all__ = ["RmsNorm", "normalized_bound", "rms_norm"]


class RmsNorm(LayerNorm, frozen=True):
    """(out, wide) = rms_norm(x)."""

    max_epsilon = 2**60

    def bound(self, width: int) -> int:
        return normalized_bound(width)


def rms_norm(
    x: npt.NDArray[np.int16],
    gain: npt.NDArray[np.int16],
    bias: npt.NDArray[np.int16],
    bias_shift: int,
    shift: int,
    epsilon: int,
    wide_bits: int,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Divide each row by the root of its mean square, then apply gain and bias.

        c[i] = n * x[i]                                                                  (exact)
        v    = n * sum(x^2) + epsilon              (sum(c^2) / n, or n^2 times the mean of x^2)
        s    = max(isqrt(v), 1)                               (n times the root mean square)
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
    x cancels, and the scale of y is in gain, bias and shift.  A row of zeros has t = 0, so that y
    is its bias.

    `out` is the input of matrix products.  `wide` is the same number with `wide_bits` more fraction
    bits, for the residual sum.

    Raises `OverflowError` if n is outside its range.  No operand in these ranges makes v
    negative, or 2^62 or more.

    Source: Zhang and Sennrich 2019, Eq. 4, in integers.
    """
    mean_square = x.shape[1] * sum_of_squares(x) + epsilon
    note("v", mean_square)
    root = np.maximum(isqrt(mean_square), 1)
    scaled = x.shape[1] * x.astype(np.int64)
    return divide_and_scale(scaled, root, gain, bias, bias_shift, shift, wide_bits)
