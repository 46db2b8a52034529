"""Compiled twin of `int8ref.reference.rescale`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import bit_length, shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.reference import rescale as meaning

DATA_BITS = meaning.DATA_BITS


@kernel
def rescale(x, low, out, exponent):
    """Bring each row of `x` to 8 bits."""
    least = np.int32(low)
    for r in range(x.shape[0]):
        row, target = x[r], out[r]
        largest = np.int32(0)
        for i in range(len(row)):
            largest = max(largest, np.int32(abs(max(np.int32(row[i]), least))))
        e = max(bit_length(int(largest)) - DATA_BITS, 0)
        exponent[r] = np.int8(e)
        s = np.int32(e)
        half = np.int32(np.int32(np.int32(1) << s) >> np.int32(1))
        for i in range(len(row)):
            data = shift_right(np.int32(max(np.int32(row[i]), least) + half), s)
            target[i] = np.int8(min(max(data, np.int32(-127)), np.int32(127)))
