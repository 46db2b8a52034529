"""The arithmetic contract: the integer primitives from which every operation is built.

Data is two's complement.  Between operations it is int8 in [-127, 127].  Residual sums and the
recurrent state are int16.  Accumulators are int32.  Inside a primitive every value is int64.  Each
primitive states the range of its inputs.  It raises `OverflowError` for an input outside this
range, and it never wraps.  Therefore every returned result is the exact result of its formula.

A shift that drops bits rounds half up (ties towards +infinity), unless its formula says that it
rounds down:

    rounding_shift_right(x, s) = floor(x / 2^s + 1/2)                                      (A1)

Each division states its own rounding.  `int8ref.kernels.ir.arithmetic` holds the compiled twins of
these functions, for scalars.  The tests compare each twin with its function.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from int8ref.spec.trace import note

VERSION = 3
"""Version of the arithmetic.  It rises when any operation gives another bit for any valid input."""

Integers = npt.NDArray[np.integer]
Int64 = npt.NDArray[np.int64]

DATA_MAX = 127
"""Largest magnitude of int8 data.  The range is symmetric, so that negation never saturates."""
WIDE_MAX = 32767
"""Largest magnitude of int16 data (residual sums, recurrent state)."""
INT32_MAX = 2**31 - 1
MAX_SHIFT = 62
"""Largest right shift of an int64 value."""

EXP2_FRACTION_BITS = 10
EXP2_ONE = 1 << 14
EXP2_COEFFICIENTS = (1048576, -726726, 251070, -55780, 7150)
"""Coefficients of a polynomial of degree 4 in f that approximates 2^-f on [0, 1).  They are in
units of 2^-20, lowest degree first."""
EXP2_MAX_INPUT = 16 << EXP2_FRACTION_BITS
FACTOR_BITS = 20
"""Fraction bits of the factor of a block of keys."""
FACTOR_MAX_INPUT = (FACTOR_BITS + 2) << EXP2_FRACTION_BITS
RECIPROCAL_BITS = 29

LOG_BITS = 20
"""Fraction bits of logarithms: one unit is 2^-20 of an octave."""
POWER_BITS = 32
"""Fraction bits of the powers in a sum."""
POWER_COEFFICIENTS = (2147483648, 1488514807, 515782930, 118750173, 19769302, 2029166)
"""Coefficients c0, c1, ... of c0 - f (c1 - f (c2 - ...)), which approximates 2^-f on [0, 1).  They
are in units of 2^-31."""
POWER_MAX_INPUT = 1 << 30
TANH_BITS = 30
"""Fraction bits of a hyperbolic tangent."""


def require_range(x: Integers | int, low: int, high: int, what: str) -> Int64:
    """Return `x` as int64 if every element lies in [low, high].

    Raises `OverflowError` otherwise.  The message names `what`, the offending value and the range.
    """
    wide = np.asarray(x).astype(np.int64)
    if wide.size and (wide.min() < low or wide.max() > high):
        worst = wide.min() if wide.min() < low else wide.max()
        raise OverflowError(f"{what}: {worst} is outside [{low}, {high}]")
    return wide


def rounding_shift_right(x: Integers, shift: Integers | int) -> Int64:
    """floor(x / 2^shift + 1/2): round half up.  (A1)

    `x` lies in (-2^63 + 2^(shift-1), 2^63 - 2^(shift-1)) and `shift` in [0, 62].  The arrays
    broadcast.  For shift = 0 the result is x.  Raises `OverflowError` outside these ranges.
    """
    s = require_range(shift, 0, MAX_SHIFT, "shift")
    wide = np.asarray(x).astype(np.int64)
    half = (np.int64(1) << s) >> 1
    limit = np.int64(2**63 - 1) - half
    if wide.size and (np.any(wide > limit) or np.any(wide < -limit)):
        raise OverflowError("rounding_shift_right: the rounding constant would overflow 64 bits")
    return (wide + half) >> s


def saturate(x: Integers, low: int, high: int) -> Int64:
    """min(max(x, low), high), elementwise.  Only data saturates, never an accumulator."""
    return np.clip(np.asarray(x).astype(np.int64), low, high)


def requantize(
    acc: Integers,
    multiplier: Integers | int,
    shift: Integers | int,
    low: int = -DATA_MAX,
    high: int = DATA_MAX,
) -> Int64:
    """saturate(rounding_shift_right(acc * multiplier, shift), low, high).  (A2)

    The function brings an accumulator to another scale.  The number multiplier * 2^-shift
    approximates the real factor scale_in / scale_out (Jacob et al. 2018, Eq. 6).  `acc` lies in
    int32, `multiplier` in [0, 2^31), `shift` in [0, 62].  The product is exact in int64 and is
    rounded once, half up.  With multiplier = 1 this is the shift-only re-scaling of Lin et al.
    2020, Eq. 10.

    Raises `OverflowError` outside these ranges.
    """
    a = require_range(acc, -INT32_MAX - 1, INT32_MAX, "requantize: accumulator")
    m = require_range(multiplier, 0, INT32_MAX, "requantize: multiplier")
    product = a * m
    rounded = rounding_shift_right(product, shift)
    note("product", product)
    note("rounded", rounded)
    return saturate(rounded, low, high)


def bit_length(x: Integers) -> Int64:
    """The number of bits of x: the e with 2^(e-1) <= x < 2^e, and 0 for x = 0.

    `x` lies in [0, 2^63).  Raises `OverflowError` outside this range.
    """
    rest = require_range(x, 0, 2**63 - 1, "bit_length")
    bits = np.zeros_like(rest)
    for step in (32, 16, 8, 4, 2, 1):
        high = rest >> step
        bits += np.where(high > 0, step, 0)
        rest = np.where(high > 0, high, rest)
    return bits + rest


def isqrt(x: Integers) -> Int64:
    """floor(sqrt(x)), exact.  The loop finds one bit of the root at a time.

    `x` lies in [0, 2^62).  Raises `OverflowError` outside this range.
    """
    rest = require_range(x, 0, 2**62 - 1, "isqrt")
    root = np.zeros_like(rest)
    for bit in range(60, -1, -2):
        trial = root + (np.int64(1) << bit)
        fits = rest >= trial
        rest = np.where(fits, rest - trial, rest)
        root = np.where(fits, (root >> 1) + (np.int64(1) << bit), root >> 1)
    return root


def reciprocal(x: Integers) -> tuple[Int64, Int64]:
    """(r, k) with r = floor(2^k / x) and k = bit_length(x) + 29.  (A3)

    r * 2^-k approximates 1 / x.  `x` lies in [1, 2^32) and r in [2^29, 2^30].  The division rounds
    down, so that the relative error lies in (-2^-29, 0].  One division serves a whole row, because
    every element of the row is multiplied by r.

    Raises `OverflowError` outside this range.
    """
    wide = require_range(x, 1, 2**32 - 1, "reciprocal")
    k = bit_length(wide) + RECIPROCAL_BITS
    r = (np.int64(1) << k) // wide
    note("r", r)
    note("k", k)
    return r, k


def exp2_negative(z: Integers) -> Int64:
    """2^14 * 2^(-z / 2^10), by a polynomial of degree 4.  (A4)

    `z` lies in [0, 2^14] and has 10 fraction bits.  With z = i * 2^10 + f:

        t = c0 + (f * (c1 + (f * (c2 + (f * (c3 + (f * c4 >> 10)) >> 10)) >> 10)) >> 10)
        result = rounding_shift_right(t, 6 + i)

    The inner shifts round down; the last shift rounds half up.  Every intermediate fits in int32.
    The result lies in [0, 2^14].  It never rises with z, and it is exactly 2^14 at z = 0.  The
    largest error over all inputs is 0.541 units in the last place.

    Raises `OverflowError` outside this range.
    """
    wide = require_range(z, 0, EXP2_MAX_INPUT, "exp2_negative")
    return rounding_shift_right(_exp2_fraction(wide), 6 + (wide >> EXP2_FRACTION_BITS))


def exp2_factor(z: Integers) -> Int64:
    """2^20 * 2^(-z / 2^10), by the polynomial of A4.  (A9)

    `z` lies in [0, 22 * 2^10] and has 10 fraction bits.  With z = i * 2^10 + f, and with the t of
    A4 for f:

        result = rounding_shift_right(t, i)

    The result lies in [0, 2^20].  It never rises with z.  It is exactly 2^20 at z = 0, and 0 at the
    largest z.  The largest error over all inputs is 3.91 units in the last place.

    Raises `OverflowError` outside this range.
    """
    wide = require_range(z, 0, FACTOR_MAX_INPUT, "exp2_factor")
    return rounding_shift_right(_exp2_fraction(wide), wide >> EXP2_FRACTION_BITS)


def _exp2_fraction(z: Int64) -> Int64:
    """The t of A4: 2^20 * 2^-f for the fraction f of z."""
    fraction = z & ((1 << EXP2_FRACTION_BITS) - 1)
    t = np.full_like(z, EXP2_COEFFICIENTS[-1])
    for coefficient in EXP2_COEFFICIENTS[-2::-1]:
        t = coefficient + ((t * fraction) >> EXP2_FRACTION_BITS)
    return t


def exp2_precise(z: Integers) -> Int64:
    """2^32 * 2^(-z / 2^20), by a polynomial of degree 5.  (A5)

    `z` lies in [0, 2^30] and has 20 fraction bits.  With z = i * 2^20 + f:

        t = c0 - (f * (c1 - (f * (c2 - (f * (c3 - (f * (c4 - (f * c5 >> 20)) >> 20)) ... >> 20)
        result = (2 * t) >> i

    All shifts round down.  t lies in [2^30, 2^31], every factor in [0, 2^32), and every product
    below 2^52.  The result lies in [0, 2^32].  It never rises with z.  It is exactly 2^32 at z = 0,
    and 0 for z > 2^25.  The relative error of 2^-31 * t is below 8.7e-8 for every f.

    Raises `OverflowError` outside this range.
    """
    wide = require_range(z, 0, POWER_MAX_INPUT, "exp2_precise")
    fraction = wide & ((1 << LOG_BITS) - 1)
    t = np.full_like(wide, POWER_COEFFICIENTS[-1])
    for coefficient in POWER_COEFFICIENTS[-2::-1]:
        t = coefficient - ((t * fraction) >> LOG_BITS)
    power: Int64 = (2 * t) >> np.minimum(wide >> LOG_BITS, 62)
    return power


def tanh(z: Integers) -> Int64:
    """2^30 * tanh(z * ln(2) / 2^21), that is (1 - 2^-d) / (1 + 2^-d) for d = z / 2^20.  (A7)

    `z` lies in [-2^30, 2^30] and has 20 fraction bits.  With p = exp2_precise(|z|):

        result = sign(z) * floor((2^32 - p) * 2^30 / (2^32 + p))

    The dividend is at most 2^62.  The result lies in [-2^30, 2^30], and never falls as z rises.
    tanh(-z) is -tanh(z).  The error is below 49 units, because a relative error e of p changes the
    quotient by at most e / 2, and both p and the quotient are rounded towards zero.

    Raises `OverflowError` outside this range.
    """
    wide = require_range(z, -POWER_MAX_INPUT, POWER_MAX_INPUT, "tanh")
    one, power = np.int64(1) << POWER_BITS, exp2_precise(np.abs(wide))
    return np.sign(wide) * (((one - power) << TANH_BITS) // (one + power))


def soft_cap(x: Integers, multiplier: Integers | int, shift: int) -> Int64:
    """tanh(min(max(rounding_shift_right(x * multiplier, shift), -2^30), 2^30)).  (A8)

    The function limits a number smoothly: it is nearly linear for small x, and reaches +-2^30 for
    large x.  `x` lies in int32, `multiplier` in [0, 2^31), `shift` in [0, 62].  The product is
    exact in int64 and is rounded once, half up.

    multiplier * 2^-shift is 2 * log2(e) / cap times the real value of a unit of x, in units of
    2^-20.  A unit of the result is cap * 2^-30.

    Raises `OverflowError` outside these ranges.
    """
    wide = require_range(x, -INT32_MAX - 1, INT32_MAX, "soft_cap: number")
    m = require_range(multiplier, 0, INT32_MAX, "soft_cap: multiplier")
    z = rounding_shift_right(wide * m, shift)
    return tanh(saturate(z, -POWER_MAX_INPUT, POWER_MAX_INPUT))


def log2(x: Integers) -> Int64:
    """2^20 * log2(x), rounded half up.  (A6)

    `x` lies in [1, 2^62).  With e = bit_length(x) - 1 and y = x * 2^(30 - e), rounded down, in
    [2^30, 2^31):

        result = e
        21 times: y = y^2 >> 30;  bit = y >> 31;  y = y >> bit;  result = 2 * result + bit
        result = (result + 1) >> 1

    Each turn of the loop squares y, which doubles the logarithm of y.  The integer part of the
    doubled logarithm is the next bit of the result.  The error is below 0.51 units for every x, and
    0 for a power of two.  The result never falls as x rises.

    Raises `OverflowError` outside this range.
    """
    wide = require_range(x, 1, 2**62 - 1, "log2")
    result = bit_length(wide) - 1
    spare = 30 - result
    y = (wide << np.maximum(spare, 0)) >> np.maximum(-spare, 0)
    for _ in range(LOG_BITS + 1):
        y = (y * y) >> 30
        bit = y >> 31
        y = y >> bit
        result = 2 * result + bit
    return (result + 1) >> 1
