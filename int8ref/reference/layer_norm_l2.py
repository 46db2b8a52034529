"""Layer normalisation by the standard deviation."""

from __future__ import annotations

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


class LayerNormL2(LayerNorm, frozen=True):
    """(out, wide) = layer_norm_l2(x)."""

    max_epsilon = 2**60

    def bound(self, width: int) -> int:
        return normalized_bound(width)


@cache
def normalized_bound(width: int) -> int:
    """An upper bound of |t| in `layer_norm_l2`: twice sqrt(width), as the root is rounded down."""
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
        v    = sum(c^2) / n + epsilon                                   (n^2 times the variance)
        s    = max(isqrt(v), 1)
        t[i] = rounding_shift_right(c[i] * r, k - 10)    (r, k) = reciprocal(s)
        y[i] = t[i] * gain[i] + bias[i] * 2^bias_shift
        out[i]  = saturate8(rounding_shift_right(y[i], shift))
        wide[i] = saturate16(rounding_shift_right(y[i], shift - wide_bits))

    The division of squares has no rest: v = n * sum(x^2) - sum(x)^2 + epsilon.  `x`: int16
    [rows, n], n <= 8192; `gain`, `bias`: int16 [n]; `bias_shift` in [0, 15]; out: int8 [rows, n] in
    [-127, 127], for the products; wide: int16 [rows, n] in [-32767, 32767], the same with
    `wide_bits` more fraction bits, for the residual.  The scale of x cancels (Ba et al. 2016, Eq.
    4, in integers); t has 10 fraction bits; the scale of y is in gain, bias and shift.  `epsilon`
    is the usual constant under the root, in units of v.  A constant row gives its bias.
    """
    centred = centre(x)
    total = x.sum(axis=1, keepdims=True, dtype=np.int64)
    variance = x.shape[1] * sum_of_squares(x) - total * total + epsilon
    deviation = np.maximum(isqrt(variance), 1)
    return divide_and_scale(centred, deviation, gain, bias, bias_shift, shift, wide_bits)
