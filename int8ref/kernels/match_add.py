"""Compiled twin of `int8ref.reference.match_add`."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import ADDRESS, ITEM, LENGTH, WIDTH, WORKSPACE, operands_at
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import address_of, array, matrix, rows_of, word
from int8ref.reference.match_add import MatchAdd

AT = operands_at(MatchAdd)
A, B, A_MULTIPLIER, B_MULTIPLIER = (AT[f] for f in ("a", "b", "a_multiplier", "b_multiplier"))
B_SHIFT, SHIFT, LIMIT, OUT = (AT[f] for f in ("b_shift", "shift", "limit", "out"))
EXPONENT, BIAS, BIAS_SHIFT = (AT[f] for f in ("exponent", "bias", "bias_shift"))


@kernel
def match_add(
    a, b, a_multiplier, b_multiplier, b_shift, shift, limit, exponent, bias, bias_shift, out
):
    """Add `a` and `b` on the scale of `out`, saturated at plus and minus `limit`; both multipliers
    are [n]."""
    if exponent is None:
        _add(a, b, a_multiplier, b_multiplier, b_shift, shift, limit, out)
    else:
        _add_raised(
            a, b, a_multiplier, b_multiplier, b_shift, shift, limit, exponent, bias, bias_shift, out
        )


@kernel
def _add(a, b, a_multiplier, b_multiplier, b_shift, shift, limit, out):
    low, high = np.int64(-limit), np.int64(limit)
    s, b_up = np.int64(shift), np.int64(b_shift)
    half = np.int64(1) << (s - np.int64(1))
    for r in range(a.shape[0]):
        left, right, target = a[r], b[r], out[r]
        for i in range(a.shape[1]):
            total = np.int64(left[i]) * np.int64(a_multiplier[i])
            total += np.int64(right[i]) * (np.int64(b_multiplier[i]) << b_up)
            target[i] = min(max((total + half) >> s, low), high)


@kernel
def _add_raised(
    a, b, a_multiplier, b_multiplier, b_shift, shift, limit, exponent, bias, bias_shift, out
):
    low, high = np.int64(-limit), np.int64(limit)
    s, b_up, up = np.int64(shift), np.int64(b_shift), np.int64(bias_shift)
    half = np.int64(1) << (s - np.int64(1))
    for r in range(a.shape[0]):
        left, right, target = a[r], b[r], out[r]
        e = np.int64(exponent[r])
        for i in range(a.shape[1]):
            total = (np.int64(left[i]) * np.int64(a_multiplier[i])) << e
            total += np.int64(right[i]) * (np.int64(b_multiplier[i]) << b_up)
            total += np.int64(bias[i]) << up
            target[i] = min(max((total + half) >> s, low), high)


@kernel
def step(frame, code):
    """Run a match_add instruction."""
    if word(code, EXPONENT + ITEM) != 0:
        width, rows = word(code, OUT + WIDTH), rows_of(frame, code, OUT)
        _add_raised(
            matrix(frame, code, A, np.int32),
            matrix(frame, code, B, np.int16),
            array(word(code, A_MULTIPLIER + ADDRESS), (width,), np.int16),
            _b_multiplier(frame, code),
            word(code, B_SHIFT),
            word(code, SHIFT),
            word(code, LIMIT),
            array(address_of(frame, code, EXPONENT), (rows,), np.int8),
            array(word(code, BIAS + ADDRESS), (width,), np.int16),
            word(code, BIAS_SHIFT),
            matrix(frame, code, OUT, np.int16),
        )
    elif word(code, A + ITEM) == 4:
        _with_a(frame, code, matrix(frame, code, A, np.int32))
    else:
        _with_a(frame, code, matrix(frame, code, A, np.int16))


@kernel
def _b_multiplier(frame, code):
    """One factor a channel; where the file has one for all, in scratch memory."""
    width, address = word(code, OUT + WIDTH), word(code, B_MULTIPLIER + ADDRESS)
    if word(code, B_MULTIPLIER + LENGTH) == width:
        return array(address, (width,), np.int16)
    one = array(address, (np.int64(1),), np.int16)
    found = array(word(frame, WORKSPACE), (width,), np.int16)
    for i in range(width):
        found[i] = one[0]
    return found


@kernel
def _with_a(frame, code, a):
    if word(code, B + ITEM) == 1:
        _with_b(frame, code, a, matrix(frame, code, B, np.int8))
    else:
        _with_b(frame, code, a, matrix(frame, code, B, np.int16))


@kernel
def _with_b(frame, code, a, b):
    width = word(code, OUT + WIDTH)
    _add(
        a,
        b,
        array(word(code, A_MULTIPLIER + ADDRESS), (width,), np.int16),
        _b_multiplier(frame, code),
        word(code, B_SHIFT),
        word(code, SHIFT),
        word(code, LIMIT),
        matrix(frame, code, OUT, np.int16),
    )
