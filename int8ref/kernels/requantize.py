"""Compiled twin of `int8ref.reference.requantize`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel


@kernel
def requantize(x, multiplier, shift, limit, out):
    """Bring `x` to the scale of `out`, saturated to [-limit, limit]."""
    low, high = np.int64(-limit), np.int64(limit)
    s = np.int64(shift[0])
    half = np.int64(1) << (s - np.int64(1))
    for r in range(x.shape[0]):
        source, target = x[r], out[r]
        for i in range(x.shape[1]):
            total = (np.int64(source[i]) * np.int64(multiplier[i]) + half) >> s
            target[i] = min(max(total, low), high)
