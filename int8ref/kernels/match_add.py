"""Compiled twin of `int8ref.reference.match_add`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.compile import kernel
from int8ref.kernels.views import array, matrix, word
from int8ref.machine.frame import ADDRESS, ITEM, WIDTH, operands_at
from int8ref.reference.match_add import MatchAdd

AT = operands_at(MatchAdd)
A, B, A_MULTIPLIER, B_MULTIPLIER = (AT[f] for f in ("a", "b", "a_multiplier", "b_multiplier"))
SHIFT, LIMIT, OUT = (AT[f] for f in ("shift", "limit", "out"))


@kernel
def match_add(a, b, a_multiplier, b_multiplier, shift, limit, out):
    """Add `a` and `b` on the scale of `out`, saturated at plus and minus `limit`."""
    low, high = np.int64(-limit), np.int64(limit)
    s = np.int64(shift)
    half = np.int64(1) << (s - np.int64(1))
    for r in range(a.shape[0]):
        left, right, target = a[r], b[r], out[r]
        for i in range(a.shape[1]):
            total = np.int64(left[i]) * np.int64(a_multiplier[i])
            total += np.int64(right[i]) * np.int64(b_multiplier[i])
            target[i] = min(max((total + half) >> s, low), high)


@kernel
def step(frame, code):
    """Run a match_add instruction."""
    if word(code, A + ITEM) == 4:
        _with_a(frame, code, matrix(frame, code, A, np.int32))
    else:
        _with_a(frame, code, matrix(frame, code, A, np.int16))


@kernel
def _with_a(frame, code, a):
    if word(code, B + ITEM) == 1:
        _with_b(frame, code, a, matrix(frame, code, B, np.int8))
    else:
        _with_b(frame, code, a, matrix(frame, code, B, np.int16))


@kernel
def _with_b(frame, code, a, b):
    width = word(code, OUT + WIDTH)
    match_add(
        a,
        b,
        array(word(code, A_MULTIPLIER + ADDRESS), (width,), np.int32),
        array(word(code, B_MULTIPLIER + ADDRESS), (width,), np.int32),
        word(code, SHIFT),
        word(code, LIMIT),
        matrix(frame, code, OUT, np.int16),
    )
