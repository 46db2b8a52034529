"""Compiled twin of `int8ref.reference.layer_norm_l2`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.arithmetic import isqrt, reciprocal, shift_right
from int8ref.kernels.compile import kernel
from int8ref.kernels.views import array, matrix, word
from int8ref.machine.frame import ADDRESS, WIDTH, operands_at
from int8ref.reference import layer_norm_l2 as meaning

FRACTION_BITS = np.int64(meaning.FRACTION_BITS)


@kernel
def layer_norm_l2(x, gain, bias, shift, epsilon, wide_bits, out, wide):
    """Normalise the rows of `x` to int8."""
    n = x.shape[1]
    s = np.int32(shift)
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    width = np.int32(n)
    s_wide = np.int32(s - np.int32(wide_bits))
    half_wide = np.int32(np.int32(np.int32(1) << s_wide) >> np.int32(1))
    for r in range(x.shape[0]):
        row, target, finer = x[r], out[r], wide[r]
        total = np.int32(0)
        for i in range(n):
            total = np.int32(total + np.int32(row[i]))
        squares = np.int64(0)
        for i in range(n):
            centred = np.int32(np.int32(width * np.int32(row[i])) - total)
            squares += np.int64(centred) * np.int64(centred)
        deviation = max(isqrt(squares // np.int64(n) + np.int64(epsilon)), np.int64(1))
        inverse, bits = reciprocal(deviation)
        drop = bits - FRACTION_BITS
        rounding = np.int64(1) << (drop - np.int64(1))
        for i in range(n):
            centred = np.int32(np.int32(width * np.int32(row[i])) - total)
            t = np.int32((np.int64(centred) * np.int64(np.int32(inverse)) + rounding) >> drop)
            y = np.int32(np.int32(t * np.int32(gain[i])) + bias[i])
            data = shift_right(np.int32(y + half), s)
            target[i] = np.int8(min(max(data, np.int32(-127)), np.int32(127)))
            data = shift_right(np.int32(y + half_wide), s_wide)
            finer[i] = np.int16(min(max(data, np.int32(-32767)), np.int32(32767)))


AT = operands_at(meaning.LayerNormL2)
X, GAIN, BIAS, SHIFT, EPSILON, WIDE_BITS, OUT, WIDE = (
    AT[f] for f in ("x", "gain", "bias", "shift", "epsilon", "wide_bits", "out", "wide")
)


@kernel
def step(frame, code):
    """Run a layer_norm_l2 instruction."""
    width = word(code, OUT + WIDTH)
    layer_norm_l2(
        matrix(frame, code, X, np.int16),
        array(word(code, GAIN + ADDRESS), (width,), np.int16),
        array(word(code, BIAS + ADDRESS), (width,), np.int32),
        word(code, SHIFT),
        word(code, EPSILON),
        word(code, WIDE_BITS),
        matrix(frame, code, OUT, np.int8),
        matrix(frame, code, WIDE, np.int16),
    )
