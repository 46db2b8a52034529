"""Compiled twin of `int8ref.reference.narrow`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import requantize
from int8ref.kernels.ir.compile import kernel


@kernel
def narrow(x, multiplier, shift, out):
    """Requantise int16 `x`; `multiplier` is [n]."""
    for r in range(x.shape[0]):
        row, target = x[r], out[r]
        for i in range(x.shape[1]):
            target[i] = np.int8(requantize(row[i], multiplier[i], shift[0], -127, 127))
