"""Compiled twin of `int8ref.reference.lookup`."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import ADDRESS, ITEM, operands_at
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array, matrix, word
from int8ref.reference.lookup import Lookup

AT = operands_at(Lookup)
X, TABLE, OUT = (AT[f] for f in ("x", "table", "out"))


@kernel
def lookup(x, table, out):
    """Apply a table of 256 values."""
    for r in range(x.shape[0]):
        row, target = x[r], out[r]
        for i in range(x.shape[1]):
            target[i] = table[np.int64(row[i]) + np.int64(128)]


@kernel
def step(frame, code):
    """Run a lookup instruction."""
    x, address = matrix(frame, code, X, np.int8), word(code, TABLE + ADDRESS)
    if word(code, OUT + ITEM) == 1:
        lookup(x, array(address, (256,), np.int8), matrix(frame, code, OUT, np.int8))
    else:
        lookup(x, array(address, (256,), np.int16), matrix(frame, code, OUT, np.int16))
