"""Compiled twin of `int8ref.reference.layer_norm_l2`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import isqrt
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.layer_norm import divide_and_scale, scaling, sum_of, sum_of_squares


@kernel
def layer_norm_l2(x, gain, bias, bias_shift, shift, epsilon, wide_bits, out, wide, workspace):
    """Normalise the rows of `x`, int16 [rows, n].

    The sum of (n * x - sum(x))^2, divided by n, is exactly n * sum(x^2) - sum(x)^2.
    """
    n = np.int64(x.shape[1])
    scale = scaling(gain, bias, bias_shift, shift, wide_bits, workspace)
    for r in range(x.shape[0]):
        row = x[r]
        total = sum_of(row)
        variance = n * sum_of_squares(row) - np.int64(total) * np.int64(total)
        deviation = max(isqrt(variance + np.int64(epsilon)), np.int64(1))
        divide_and_scale(row, total, deviation, scale, out[r], wide[r])
