"""Compiled twin of `int8ref.reference.layer_norm_l1`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.layer_norm import centred, divide_and_scale, scaling, sum_of


@kernel
def layer_norm_l1(x, gain, bias, bias_shift, shift, epsilon, wide_bits, out, wide, workspace):
    """Normalise the rows of `x`, int16 [rows, n]."""
    n = np.int64(x.shape[1])
    scale = scaling(gain, bias, bias_shift, shift, wide_bits, workspace)
    for r in range(x.shape[0]):
        row = x[r]
        total = sum_of(row)
        distances = np.int64(0)
        for i in range(n):
            distances += np.int64(abs(centred(row, i, total)))
        mean = (distances + n - np.int64(1)) // n
        deviation = max(mean + np.int64(epsilon), np.int64(1))
        divide_and_scale(row, total, deviation, scale, out[r], wide[r])
