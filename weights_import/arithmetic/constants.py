"""Constants of elementary functions, computed from integers.

A number c is stored as the integer c * ONE.  Its error is below 2^-300, because each of the few
hundred divisions of a series is off by less than 1.  A quotient of two integers of Python is the
nearest float64.
"""

from __future__ import annotations

import math
from itertools import count

BITS = 320
ONE = 1 << BITS


def nearest(number: int) -> float:
    """The float64 nearest to number / ONE."""
    return number / ONE


def parts(number: int, *bits: int) -> tuple[float, ...]:
    """Floats whose sum is number / ONE, number > 0.

    Each number of `bits` is the size of one float.  One more float is nearest to the rest.  A float
    of b bits has exact products with integers below 2^(53 - b).
    """
    found = []
    for size in bits:
        below = number.bit_length() - size
        head = number >> below << below
        found.append(head / ONE)
        number -= head
    return (*found, number / ONE)


def two_parts(number: int) -> tuple[float, float]:
    """A number > 0 in two floats, the first of which has all its 53 bits."""
    high, low = parts(number, 53)
    return high, low


def square_root(number: int) -> int:
    """The square root of a number."""
    return math.isqrt(number * ONE)


def _series(n: int, sign: int) -> int:
    """1/n + sign/(3 n^3) + sign^2/(5 n^5) + ...: arctan(1/n) for -1, artanh(1/n) for 1."""
    total, power = 0, ONE // n
    for k in count():
        if not power:
            return total
        total += sign**k * (power // (2 * k + 1))
        power //= n * n
    raise AssertionError


PI = 4 * (4 * _series(5, -1) - _series(239, -1))
"""Machin 1706: pi / 4 = 4 arctan(1/5) - arctan(1/239)."""
LN_2 = 2 * _series(3, 1)
"""ln((1 + t) / (1 - t)) = 2 artanh(t) for t = 1/3."""
LOG2_E = ONE * ONE // LN_2
ARCTAN_HALF = _series(2, -1)
TWO_OVER_ROOT_PI = 2 * ONE * ONE // square_root(PI)


def exp_of_minus(numerator: int, denominator: int) -> int:
    """exp(-numerator / denominator), by its Taylor series, for a quotient below 1."""
    total = term = ONE
    for n in count(1):
        term = -term * numerator // (n * denominator)
        if term in (0, -1):  # -1 // n is -1
            return total
        total += term
    raise AssertionError
