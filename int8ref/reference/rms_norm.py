"""Normalisation by the root of the mean square."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from int8ref.reference.layer_norm import LayerNorm, divide_and_scale, sum_of_squares
from int8ref.reference.layer_norm_l2 import normalized_bound
from int8ref.spec.arithmetic import isqrt

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

        c[i] = n * x[i]
        v    = n * sum(x^2) + epsilon                              (the mean of c^2, and epsilon)
        s    = max(isqrt(v), 1)
        t[i] = rounding_shift_right(c[i] * r, k - 10)    (r, k) = reciprocal(s)
        y[i] = t[i] * gain[i] + bias[i] * 2^bias_shift
        out[i]  = saturate8(rounding_shift_right(y[i], shift))
        wide[i] = saturate16(rounding_shift_right(y[i], shift - wide_bits))

    `layer_norm_l2` of rows whose mean is taken to be zero (Zhang and Sennrich 2019, Eq. 4, in
    integers), with its operands, results and bounds.  A row of zeros gives its bias.
    """
    root = np.maximum(isqrt(x.shape[1] * sum_of_squares(x) + epsilon), 1)
    scaled = x.shape[1] * x.astype(np.int64)
    return divide_and_scale(scaled, root, gain, bias, bias_shift, shift, wide_bits)
