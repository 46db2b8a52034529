"""Layer normalisation by the mean absolute deviation."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from int8ref.reference.layer_norm import FRACTION_BITS, LayerNorm, centre, divide_and_scale


class LayerNormL1(LayerNorm, frozen=True):
    """(out, wide) = layer_norm_l1(x)."""

    max_epsilon = 2**30

    def bound(self, width: int) -> int:
        return normalized_bound(width)


@cache
def normalized_bound(width: int) -> int:
    """An upper bound of |t| in `layer_norm_l1`: width / 2, as no |c| exceeds half of their sum."""
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
        t[i] = rounding_shift_right(c[i] * r, k - 10)    (r, k) = reciprocal(s)
        y[i] = t[i] * gain[i] + bias[i] * 2^bias_shift
        out[i]  = saturate8(rounding_shift_right(y[i], shift))
        wide[i] = saturate16(rounding_shift_right(y[i], shift - wide_bits))

    There is no root (Lin et al. 2020, Eq. 13; a factor such as sqrt(2 / pi) is in the gain).
    Operands and results are those of `layer_norm_l2`; `epsilon`, in units of s, lies in [0, 2^30].
    A constant row gives its bias.
    """
    centred = centre(x)
    total = np.abs(centred).sum(axis=1, keepdims=True)
    deviation = np.maximum(-(-total // x.shape[1]) + epsilon, 1)
    return divide_and_scale(centred, deviation, gain, bias, bias_shift, shift, wide_bits)
