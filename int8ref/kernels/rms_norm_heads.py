"""Compiled twin of `int8ref.reference.rms_norm_heads`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import isqrt, reciprocal, shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.layer_norm import FRACTION_BITS, sum_of_squares


@kernel
def rms_norm_heads(x, gain, column, heads, head_width, shift, epsilon, out):
    """Normalise the heads of the rows of `x`, int16 [rows, n], and copy the other columns."""
    last = column + heads * head_width
    for r in range(x.shape[0]):
        row, target = x[r], out[r]
        for i in range(column):
            target[i] = row[i]
        for h in range(heads):
            first = column + h * head_width
            part = row[first : first + head_width]
            root = isqrt(np.int64(head_width) * sum_of_squares(part) + np.int64(epsilon))
            factors = gain[h * head_width : (h + 1) * head_width]
            own = target[first : first + head_width]
            scale_by_root(part, max(root, np.int64(1)), factors, shift, own)
        for i in range(last, x.shape[1]):
            target[i] = row[i]


@kernel
def scale_by_root(part, root, gain, shift, out):
    """Divide int16 columns by the root, and apply the gain; `out` may be the columns."""
    s = np.int32(shift)
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    inverse, bits = reciprocal(root)
    drop = bits - FRACTION_BITS
    rounding = np.int64(1) << (drop - np.int64(1))
    factor = np.int64(np.int32(inverse))
    width = np.int64(len(part))
    for i in range(len(part)):
        t = np.int32((width * np.int64(part[i]) * factor + rounding) >> drop)
        y = np.int32(t * np.int32(gain[i]))
        data = shift_right(np.int32(y + half), s)
        out[i] = np.int16(min(max(data, np.int32(-32767)), np.int32(32767)))
