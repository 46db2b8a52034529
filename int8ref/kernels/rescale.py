"""Compiled twin of `int8ref.reference.rescale`."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import operands_at
from int8ref.kernels.ir.arithmetic import bit_length, shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import address_of, array, matrix, word
from int8ref.reference import rescale as meaning

DATA_BITS = meaning.DATA_BITS

AT = operands_at(meaning.Rescale)
X, LOW, OUT, EXPONENT = (AT[f] for f in ("x", "low", "out", "exponent"))


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


@kernel
def step(frame, code):
    """Run a rescale instruction."""
    x = matrix(frame, code, X, np.int16)
    exponent = array(address_of(frame, code, EXPONENT), (x.shape[0],), np.int8)
    rescale(x, word(code, LOW), matrix(frame, code, OUT, np.int8), exponent)
