"""Compiled twin of `int8ref.reference.normalize`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import isqrt, reciprocal, rounding_shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.layer_norm import sum_of_squares
from int8ref.reference import normalize as meaning

ROOT_BITS = np.int64(meaning.ROOT_BITS)


@kernel
def normalize(x, length, out):
    """Scale each row of `x` to a Euclidean length."""
    for r in range(x.shape[0]):
        row, target = x[r], out[r]
        root = isqrt(sum_of_squares(row) << (ROOT_BITS + ROOT_BITS))
        inverse, bits = reciprocal(max(root, np.int64(1)))
        factor = np.int64(length) * np.int64(inverse)
        for i in range(len(row)):
            scaled = rounding_shift_right(np.int64(row[i]) * factor, bits - ROOT_BITS)
            target[i] = np.int8(min(max(scaled, np.int64(-127)), np.int64(127)))
