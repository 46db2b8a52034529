"""Compiled twin of `int8ref.reference.multiply`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import requantize
from int8ref.kernels.ir.compile import kernel


@kernel
def multiply(a, b, multiplier, shift, limit, out):
    """The products of `a` and `b` on the scale of `out`, saturated to [-limit, limit]."""
    for r in range(a.shape[0]):
        left, right, target = a[r], b[r], out[r]
        for i in range(a.shape[1]):
            product = np.int32(np.int32(left[i]) * np.int32(right[i]))
            target[i] = requantize(product, multiplier[i], shift[0], -limit, limit)
