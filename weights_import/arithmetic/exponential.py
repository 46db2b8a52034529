"""exp, exp2, sigmoid and tanh of a float64 number.

    exp(x) = 2^k e^r,  k = round(x / ln 2),  r = x - k ln 2,  |r| <= ln(2) / 2 < 0.3466

(Cody and Waite 1980, chapter 6).  e^r is the sum of its Taylor series up to r^13 / 13!.  The
first term left out is below 0.3466^14 / 14! < 2^-57 of the result.  ln 2 is the sum of two floats,
of which the first has 42 bits: k has 11, so that its product is exact.

Errors in units in the last place of the result (tests/weights_import/arithmetic/test_functions.py
measures them): exp 0.9, exp2 1.1, sigmoid 2.2, tanh 3.  A result of exp or exp2 below 2^-1022 has
the spacing of these numbers as its unit.
"""

from __future__ import annotations

import math

from weights_import.arithmetic.constants import LN_2, LOG2_E, nearest, parts
from weights_import.arithmetic.float_pairs import two_sum
from weights_import.arithmetic.leaf import (
    is_nan,
    leaf,
    polynomial,
    select,
    times_power,
    whole,
    with_sign,
)

TERMS = 13
TAYLOR = tuple(1 / math.factorial(n) for n in range(2, TERMS + 1))
LN_2_HIGH, LN_2_LOW = parts(LN_2, 42)
LN_2_NEAREST, LOG2_E_NEAREST = nearest(LN_2), nearest(LOG2_E)

MOST, LEAST = 710.0, -750.0
"""exp gives infinity from MOST on, and 0 up to LEAST."""
MOST_2, LEAST_2 = 1025.0, -1080.0
"""The same for exp2."""
FLAT = 40.0
"""tanh(x) rounds to 1 for every x from FLAT / 2 on."""


@leaf
def exp_of(x: float) -> float:
    """e^x."""
    k, r, rest = _reduced(bounded(x, LEAST, MOST))
    return select(is_nan(x), x, _scaled(1.0 + _less_one(r, rest), k))


@leaf
def exp2_of(x: float) -> float:
    """2^x, exact for whole numbers: k = round(x), and 2^(x - k) = exp((x - k) ln 2)."""
    y = bounded(x, LEAST_2, MOST_2)
    k = whole(y)
    return select(is_nan(x), x, _scaled(1.0 + _less_one((y - k) * LN_2_NEAREST, 0.0), k))


@leaf
def sigmoid_of(x: float) -> float:
    """1 / (1 + e^-x), and e^x / (1 + e^x) for negative x, because e^-x may overflow."""
    e = exp_of(-abs(x))
    return select(x < 0.0, e, 1.0) / (1.0 + e)


@leaf
def tanh_of(x: float) -> float:
    """(e^2x - 1) / (e^2x + 1) for 2x = -2|x|, with the sign of x.

    With the k and r of e^2x it is e^2x - 1 = (2^k - 1) + 2^k (e^r - 1).  The first term is 0 or
    larger than the second.  Therefore the relative error stays small near x = 0.
    """
    y = bounded(-2.0 * abs(x), -FLAT, 0.0)
    k, r, rest = _reduced(y)
    power = times_power(1.0, k)
    less_one = (power - 1.0) + power * _less_one(r, rest)
    return select(is_nan(x), x, with_sign(less_one / (2.0 + less_one), x))


def exp_of_sum(high: float, low: float) -> float:
    """exp(high + low) for high in [LEAST, MOST] and |low| < 2^-40."""
    k, r, rest = _reduced(high)
    r, rest = two_sum(r, rest + low)
    return _scaled(1.0 + _less_one(r, rest), k)


def bounded(x: float, least: float, most: float) -> float:
    """min(max(x, least), most), and 0 for nan."""
    y = select(is_nan(x), 0.0, x)
    return select(y < least, least, select(y > most, most, y))


def _reduced(x: float) -> tuple[float, float, float]:
    """k, r and the error of r, for which x = k ln 2 + r + error."""
    k = whole(x * LOG2_E_NEAREST)
    exact = x - k * LN_2_HIGH
    low = k * LN_2_LOW
    r = exact - low
    return k, r, (exact - r) - low


def _less_one(r: float, rest: float) -> float:
    """e^(r + rest) - 1 for |r| < 0.35 and |rest| < 2^-53 |r|."""
    return r + (rest + r * r * polynomial(r, TAYLOR))


def _scaled(x: float, k: float) -> float:
    """x * 2^k in two steps, because 2^k alone may overflow or lose bits."""
    half = whole(0.5 * k)
    return times_power(x, half) * times_power(1.0, k - half)
