"""Compiled twin of `int8ref.reference.interpolate`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.reference import interpolate as meaning

BITS = np.int32(meaning.STEP_BITS)
STEP = np.int32(1 << meaning.STEP_BITS)
HALF = np.int32(STEP >> 1)
OFFSET = np.int32(1 << 15)


@kernel
def interpolate(x, table, out):
    """Apply a table of 513 values with straight lines between them, all in int32."""
    for r in range(x.shape[0]):
        row, target = x[r], out[r]
        for i in range(x.shape[1]):
            place = np.int32(np.int32(row[i]) + OFFSET)
            at = shift_right(place, BITS)
            distance = np.int32(place & np.int32(STEP - np.int32(1)))
            low, high = np.int32(table[at]), np.int32(table[at + 1])
            total = np.int32(low * STEP) + np.int32(np.int32(high - low) * distance)
            target[i] = np.int16(shift_right(np.int32(total + HALF), BITS))
