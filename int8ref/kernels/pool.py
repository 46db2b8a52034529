"""Compiled twin of `int8ref.reference.pool`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array
from int8ref.reference import pool as meaning

FIRST, LAST = meaning.FIRST, meaning.LAST


@kernel
def pool(x, offsets, rows, multiplier, shift, limit, out, workspace):
    """Pool the rows of each sentence; the sums lie in scratch memory."""
    sums = array(workspace, (np.int64(out.shape[1]),), np.int32)
    for b in range(out.shape[0]):
        first, last = np.int64(offsets[b]), np.int64(offsets[b + 1])
        if rows == FIRST:
            last = first + np.int64(1)
        if rows == LAST:
            first = last - np.int64(1)
        for i in range(len(sums)):
            sums[i] = np.int32(0)
        for r in range(first, last):
            row = x[r]
            for i in range(len(sums)):
                sums[i] = np.int32(sums[i] + np.int32(row[i]))
        whole = max(last - first, np.int64(1)) << np.int64(shift[0])
        target = out[b]
        for i in range(len(sums)):
            numerator = np.int64(sums[i]) * np.int64(multiplier[i])
            mean = (numerator + numerator + whole) // (whole + whole)
            target[i] = min(max(mean, np.int64(-limit)), np.int64(limit))
