"""Compiled twin of `int8ref.reference.multiply`."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import ADDRESS, ITEM, WIDTH, operands_at
from int8ref.kernels.ir.arithmetic import requantize
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array, matrix, word
from int8ref.reference.multiply import Multiply

AT = operands_at(Multiply)
A, B, MULTIPLIER, SHIFT, LIMIT, OUT = (
    AT[f] for f in ("a", "b", "multiplier", "shift", "limit", "out")
)


@kernel
def multiply(a, b, multiplier, shift, limit, out):
    """The products of `a` and `b` on the scale of `out`, saturated at plus and minus `limit`."""
    for r in range(a.shape[0]):
        left, right, target = a[r], b[r], out[r]
        for i in range(a.shape[1]):
            product = np.int32(np.int32(left[i]) * np.int32(right[i]))
            target[i] = requantize(product, multiplier[i], shift[0], -limit, limit)


@kernel
def step(frame, code):
    """Run a multiply instruction."""
    if word(code, OUT + ITEM) == 1:
        _with_out(frame, code, matrix(frame, code, OUT, np.int8))
    else:
        _with_out(frame, code, matrix(frame, code, OUT, np.int16))


@kernel
def _with_out(frame, code, out):
    width = word(code, OUT + WIDTH)
    multiply(
        matrix(frame, code, A, np.int16),
        matrix(frame, code, B, np.int8),
        array(word(code, MULTIPLIER + ADDRESS), (width,), np.int16),
        array(word(code, SHIFT + ADDRESS), (1,), np.int8),
        word(code, LIMIT),
        out,
    )
