"""Compiled twin of `int8ref.reference.rotary`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import requantize
from int8ref.kernels.ir.compile import kernel
from int8ref.reference import rotary as meaning

ONE = np.int32(1 << meaning.ANGLE_BITS)


@kernel
def rotary(x, positions, cosine, sine, heads, head_width, pairs, multiplier, shift, out):
    """Rotate the pairs of every head, and requantise all columns to 8 bits.  Sums are exact in
    int32."""
    for r in range(x.shape[0]):
        row, target, c, d = x[r], out[r], cosine[positions[r]], sine[positions[r]]
        for h in range(heads):
            first = h * head_width
            for i in range(first, first + pairs):
                a, b = np.int32(row[i]), np.int32(row[i + pairs])
                e, f = np.int32(c[i - first]), np.int32(d[i - first])
                acc = np.int32(np.int32(a * e) - np.int32(b * f))
                target[i] = _data(acc, multiplier[i], shift[0])
                acc = np.int32(np.int32(a * f) + np.int32(b * e))
                target[i + pairs] = _data(acc, multiplier[i + pairs], shift[0])
            for i in range(first + 2 * pairs, first + head_width):
                target[i] = _data(np.int32(row[i]) * ONE, multiplier[i], shift[0])
        for i in range(heads * head_width, x.shape[1]):
            target[i] = _data(np.int32(row[i]) * ONE, multiplier[i], shift[0])


@kernel
def _data(acc, multiplier, shift):
    """Requantise an accumulator to 8 bits."""
    return np.int8(requantize(np.int32(acc), multiplier, shift, -127, 127))
