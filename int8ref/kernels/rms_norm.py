"""Compiled twin of `int8ref.reference.rms_norm`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import isqrt
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.layer_norm import divide_and_scale, scaling, sum_of_squares


@kernel
def rms_norm(x, gain, bias, bias_shift, shift, epsilon, wide_bits, out, wide, workspace):
    """Normalise the rows of `x`, int16 [rows, n]."""
    n = np.int64(x.shape[1])
    scale = scaling(gain, bias, bias_shift, shift, wide_bits, workspace)
    for r in range(x.shape[0]):
        row = x[r]
        root = max(isqrt(n * sum_of_squares(row) + np.int64(epsilon)), np.int64(1))
        divide_and_scale(row, np.int32(0), root, scale, out[r], wide[r])
