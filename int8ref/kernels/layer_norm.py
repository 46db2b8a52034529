"""The shared part of all layer normalisation: gain, bias, and results of two widths."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from int8ref.kernels.ir.arithmetic import reciprocal, shift_left, shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array
from int8ref.reference import layer_norm as meaning

FRACTION_BITS = np.int64(meaning.FRACTION_BITS)


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
    """n * row[i] - total, in int32; `total` is the sum of the row."""
    return np.int32(np.int32(np.int32(len(row)) * np.int32(row[i])) - total)


class Scaling(NamedTuple):
    """Gain int16 [n], shifted bias int32 [n], and the constants of the instruction."""

    gain: Any
    bias: Any
    shift: Any
    wide_bits: Any


@kernel
def scaling(gain, bias, bias_shift, shift, wide_bits, workspace):
    """The `Scaling` of an instruction.  The bias is shifted once for all rows, into scratch
    memory."""
    wide_bias = array(workspace, (len(bias),), np.int32)
    for i in range(len(bias)):
        wide_bias[i] = shift_left(np.int32(bias[i]), np.int32(bias_shift))
    return Scaling(gain, wide_bias, shift, wide_bits)


@kernel
def divide_and_scale(row, total, deviation, scale, out, wide):
    """Compute a row of the results from its sum and its deviation; `wide` is unused if wide_bits is
    0."""
    gain, bias = scale.gain, scale.bias
    s = np.int32(scale.shift)
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    s_wide = np.int32(s - np.int32(scale.wide_bits))
    half_wide = np.int32(np.int32(np.int32(1) << s_wide) >> np.int32(1))
    inverse, bits = reciprocal(deviation)
    drop = bits - FRACTION_BITS
    rounding = np.int64(1) << (drop - np.int64(1))
    factor = np.int64(np.int32(inverse))
    for i in range(len(row)):
        t = np.int32((np.int64(centred(row, i, total)) * factor + rounding) >> drop)
        y = np.int32(np.int32(t * np.int32(gain[i])) + bias[i])
        data = shift_right(np.int32(y + half), s)
        out[i] = np.int8(min(max(data, np.int32(-127)), np.int32(127)))
        if scale.wide_bits != 0:
            data = shift_right(np.int32(y + half_wide), s_wide)
            wide[i] = np.int16(min(max(data, np.int32(-32767)), np.int32(32767)))
