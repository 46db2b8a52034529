"""Compiled twins of `int8ref.spec.arithmetic` for scalars.  The originals have formulas and ranges.

Every step has a cast, because compiled code and the interpreter promote integers differently, and
both must give the same bits.  The twins check no ranges, because the Program proves the ranges
before the first run.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import I64, lowers
from int8ref.kernels.ir.vector import call
from int8ref.spec.arithmetic import (
    EXP2_COEFFICIENTS,
    EXP2_FRACTION_BITS,
    LOG_BITS,
    POWER_BITS,
    POWER_COEFFICIENTS,
    POWER_MAX_INPUT,
    RECIPROCAL_BITS,
    TANH_BITS,
)

ONE = np.int64(1)
POWERS = tuple(np.int64(c) for c in POWER_COEFFICIENTS)
POWER_ONE, POWER_END = np.int64(1 << POWER_BITS), np.int64(POWER_MAX_INPUT)
FRACTIONS = tuple(np.int64(c) for c in EXP2_COEFFICIENTS)
FRACTION_SHIFT = np.int64(EXP2_FRACTION_BITS)
FRACTION_MASK = np.int64((1 << EXP2_FRACTION_BITS) - 1)
TANH_SHIFT = np.int64(TANH_BITS)
LOG_SHIFT = np.int64(LOG_BITS)
LOG_MASK = np.int64((1 << LOG_BITS) - 1)


@kernel
def rounding_shift_right(x, shift):
    """Twin of `arithmetic.rounding_shift_right` in int64."""
    s = np.int64(shift)
    return (np.int64(x) + ((ONE << s) >> ONE)) >> s


@kernel
def saturate(x, low, high):
    """Twin of `arithmetic.saturate` in int64."""
    return min(max(np.int64(x), np.int64(low)), np.int64(high))


@kernel
def requantize(acc, multiplier, shift, low, high):
    """Twin of `arithmetic.requantize`."""
    product = np.int64(acc) * np.int64(multiplier)
    return saturate(rounding_shift_right(product, shift), low, high)


def bit_length(x: int | np.int64) -> int:
    """Twin of `arithmetic.bit_length`."""
    return int(x).bit_length()


@lowers(bit_length)
def _bit_length_ir(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    zeros = call(builder, "llvm.ctlz.i64", I64, x, ir.Constant(ir.IntType(1), 0))
    return builder.sub(ir.Constant(I64, 64), zeros)


@kernel
def isqrt(x):
    """Twin of `arithmetic.isqrt`.  The loop starts at the highest bit that the root can have."""
    rest = np.int64(x)
    root = np.int64(0)
    bit = ONE << ((bit_length(rest) >> ONE) << ONE)
    while bit > np.int64(0):
        trial = root + bit
        root = root >> ONE
        if rest >= trial:
            rest -= trial
            root += bit
        bit = bit >> np.int64(2)
    return root


@kernel
def reciprocal(x):
    """Twin of `arithmetic.reciprocal`."""
    k = bit_length(x) + np.int64(RECIPROCAL_BITS)
    return (ONE << k) // np.int64(x), k


def shift_right(x: np.int32, shift: np.int32) -> np.int32:
    """x >> shift in int32, 0 <= shift < 32.

    Numba's own shift has 64 bits, and is slow in vectors.
    """
    return np.int32(np.int32(x) >> np.int32(shift))


@lowers(shift_right, types.int32)
def _shift_right_ir(builder: ir.IRBuilder, x: ir.Value, shift: ir.Value) -> ir.Value:
    return builder.ashr(x, shift)


def shift_left(x: np.int32, shift: np.int32) -> np.int32:
    """x << shift in int32, 0 <= shift < 32; see `shift_right`."""
    return np.int32(np.int32(x) << np.int32(shift))


@lowers(shift_left, types.int32)
def _shift_left_ir(builder: ir.IRBuilder, x: ir.Value, shift: ir.Value) -> ir.Value:
    return builder.shl(x, shift)


@kernel
def exp2_factor(z):
    """Twin of `arithmetic.exp2_factor`."""
    f = np.int64(z) & FRACTION_MASK
    t = FRACTIONS[3] + ((FRACTIONS[4] * f) >> FRACTION_SHIFT)
    t = FRACTIONS[2] + ((t * f) >> FRACTION_SHIFT)
    t = FRACTIONS[1] + ((t * f) >> FRACTION_SHIFT)
    t = FRACTIONS[0] + ((t * f) >> FRACTION_SHIFT)
    return rounding_shift_right(t, np.int64(z) >> FRACTION_SHIFT)


@kernel
def exp2_precise(z):
    """Twin of `arithmetic.exp2_precise`."""
    f = np.int64(z) & LOG_MASK
    t = POWERS[4] - ((POWERS[5] * f) >> LOG_SHIFT)
    t = POWERS[3] - ((t * f) >> LOG_SHIFT)
    t = POWERS[2] - ((t * f) >> LOG_SHIFT)
    t = POWERS[1] - ((t * f) >> LOG_SHIFT)
    t = POWERS[0] - ((t * f) >> LOG_SHIFT)
    return (t + t) >> min(np.int64(z) >> LOG_SHIFT, np.int64(62))


@kernel
def soft_cap(x, multiplier, shift):
    """Twin of `arithmetic.soft_cap`."""
    z = rounding_shift_right(np.int64(x) * np.int64(multiplier), shift)
    power = exp2_precise(min(abs(z), POWER_END))
    found = ((POWER_ONE - power) << TANH_SHIFT) // (POWER_ONE + power)
    return found if z >= np.int64(0) else -found


@kernel
def log2(x):
    """Twin of `arithmetic.log2`."""
    result = bit_length(x) - ONE
    spare = np.int64(30) - result
    y = (np.int64(x) << max(spare, np.int64(0))) >> max(-spare, np.int64(0))
    for _ in range(LOG_BITS + 1):
        y = (y * y) >> np.int64(30)
        bit = y >> np.int64(31)
        y = y >> bit
        result = result + result + bit
    return (result + ONE) >> ONE
