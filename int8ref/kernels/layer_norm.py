"""What all kinds of layer normalisation share: gain, bias, and results of two widths."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import ADDRESS, WIDTH, WORKSPACE, operands_at
from int8ref.kernels.ir.arithmetic import reciprocal, shift_left, shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array, matrix, word
from int8ref.reference import layer_norm as meaning

FRACTION_BITS = np.int64(meaning.FRACTION_BITS)

AT = operands_at(meaning.LayerNorm)
X, GAIN, BIAS, BIAS_SHIFT, SHIFT, EPSILON, WIDE_BITS, OUT, WIDE = (
    AT[f]
    for f in ("x", "gain", "bias", "bias_shift", "shift", "epsilon", "wide_bits", "out", "wide")
)


@kernel
def sum_of(row):
    """The sum of a row, in int32."""
    total = np.int32(0)
    for i in range(len(row)):
        total = np.int32(total + np.int32(row[i]))
    return total


@kernel
def sum_of_squares(row):
    """The sum of the squares of a row, in int64."""
    total = np.int64(0)
    for i in range(len(row)):
        total += np.int64(np.int32(np.int32(row[i]) * np.int32(row[i])))
    return total


@kernel
def centred(row, i, total):
    """n times row[i] - mean, in int32."""
    return np.int32(np.int32(np.int32(len(row)) * np.int32(row[i])) - total)


@kernel
def divide_and_scale(row, total, deviation, gain, bias, bias_shift, shift, wide_bits, out, wide):
    """A row from its sum and its deviation; `wide` is not touched where wide_bits is 0.  The bias
    is int32, already shifted, where bias_shift is None."""
    s = np.int32(shift)
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    s_wide = np.int32(s - np.int32(wide_bits))
    half_wide = np.int32(np.int32(np.int32(1) << s_wide) >> np.int32(1))
    inverse, bits = reciprocal(deviation)
    drop = bits - FRACTION_BITS
    rounding = np.int64(1) << (drop - np.int64(1))
    factor = np.int64(np.int32(inverse))
    for i in range(len(row)):
        t = np.int32((np.int64(centred(row, i, total)) * factor + rounding) >> drop)
        y = np.int32(np.int32(t * np.int32(gain[i])) + _bias(bias, bias_shift, i))
        data = shift_right(np.int32(y + half), s)
        out[i] = np.int8(min(max(data, np.int32(-127)), np.int32(127)))
        if wide_bits != 0:
            data = shift_right(np.int32(y + half_wide), s_wide)
            wide[i] = np.int16(min(max(data, np.int32(-32767)), np.int32(32767)))


@kernel
def _bias(bias, bias_shift, i):
    if bias_shift is None:
        return bias[i]
    return shift_left(np.int32(bias[i]), np.int32(bias_shift))


@kernel
def _wide_bias(frame, code, width):
    """The bias in 32 bits, in scratch memory: once for all rows."""
    bias, up = array(word(code, BIAS + ADDRESS), (width,), np.int16), word(code, BIAS_SHIFT)
    found = array(word(frame, WORKSPACE), (width,), np.int32)
    for i in range(width):
        found[i] = _bias(bias, up, i)
    return found


@kernel
def layer_norm_code(frame, code, normalize):
    """Run a layer normalisation with the operands of an instruction."""
    width = word(code, OUT + WIDTH)
    normalize(
        matrix(frame, code, X, np.int16),
        array(word(code, GAIN + ADDRESS), (width,), np.int16),
        _wide_bias(frame, code, width),
        None,
        word(code, SHIFT),
        word(code, EPSILON),
        word(code, WIDE_BITS),
        matrix(frame, code, OUT, np.int8),
        matrix(frame, code, WIDE, np.int16),
    )
