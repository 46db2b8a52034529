"""Compiled twin of `int8ref.reference.argmax`."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import operands_at
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import column, matrix
from int8ref.reference.argmax import Argmax

AT = operands_at(Argmax)
X, OUT = AT["x"], AT["out"]


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


@kernel
def step(frame, code):
    """Run an argmax instruction."""
    argmax(matrix(frame, code, X, np.int32), column(frame, code, OUT))
