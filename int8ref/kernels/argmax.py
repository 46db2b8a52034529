"""Compiled twin of `int8ref.reference.argmax`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel


@kernel
def first_largest(row):
    """Lowest index of the largest element."""
    best = 0
    for i in range(1, len(row)):
        if row[i] > row[best]:
            best = i
    return best


@kernel
def argmax(x, out):
    """Lowest index of the largest element of each row."""
    for r in range(x.shape[0]):
        out[r] = np.int32(first_largest(x[r]))
