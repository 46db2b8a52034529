"""Compiled twin of `int8ref.reference.rms_norm_branch`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import bit_length, isqrt, rounding_shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.layer_norm import sum_of_squares
from int8ref.kernels.rms_norm_heads import scale_by_root
from int8ref.reference import rms_norm_branch as meaning

BITS = np.int64(meaning.WIDE_BITS)
MOST = np.int64(meaning.EPSILON_BITS)
VARIANTS = ({"exponent": "int8"}, {"exponent": None})
"""With an exponent and a bias, and without them."""


@kernel
def rms_norm_branch(
    x, multiplier, gain, shift, epsilon, epsilon_shift, exponent, bias, bias_shift, out
):
    """Normalise the rows of `x`, int32 [rows, n]; `bias` counts only with an exponent.

    A row of `out` first takes the 16 bits of the row, which the norm then replaces.
    """
    n = np.int64(x.shape[1])
    for r in range(x.shape[0]):
        row, target = x[r], out[r]
        up = np.int64(exponent[r]) if exponent is not None else np.int64(0)
        most = np.int64(0)
        for i in range(x.shape[1]):
            y = (np.int64(row[i]) * np.int64(multiplier[i])) << up
            if exponent is not None:
                y += np.int64(bias[i]) << np.int64(bias_shift)
            most = max(most, abs(y))
        drop = max(bit_length(most) - BITS, np.int64(0))
        for i in range(x.shape[1]):
            y = (np.int64(row[i]) * np.int64(multiplier[i])) << up
            if exponent is not None:
                y += np.int64(bias[i]) << np.int64(bias_shift)
            u = rounding_shift_right(y, drop)
            target[i] = np.int16(min(max(u, np.int64(-32767)), np.int64(32767)))
        d = min(np.int64(epsilon_shift) - drop - drop, MOST)
        raised = np.int64(epsilon) << max(d, np.int64(0))
        raised = raised >> min(max(-d, np.int64(0)), np.int64(62))
        root = max(isqrt(n * sum_of_squares(target) + raised), np.int64(1))
        scale_by_root(target, root, gain, shift, target)
