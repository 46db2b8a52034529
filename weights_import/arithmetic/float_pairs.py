"""Sums and products of float64 numbers without error, as two floats.

A pair (high, low) stands for high + low, |low| <= 2^-53 |high| up to a small factor.
"""

from __future__ import annotations

Pair = tuple[float, float]

SPLITTER = 2.0**27 + 1.0


def two_sum(a: float, b: float) -> Pair:
    """a + b rounded, and its error (Knuth 1997, section 4.2.2)."""
    total = a + b
    share = total - a
    return total, (a - (total - share)) + (b - share)


def quick_two_sum(a: float, b: float) -> Pair:
    """The same for |a| >= |b| (Dekker 1971, section 4)."""
    total = a + b
    return total, b - (total - a)


def two_product(a: float, b: float) -> Pair:
    """a * b rounded, and its error, for |a|, |b| < 2^990 (Dekker 1971, section 5).

    The error is exact unless it is below 2^-1022.
    """
    product = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(b)
    left = ((a_high * b_high - product) + a_high * b_low) + a_low * b_high
    return product, left + a_low * b_low


def add(a: Pair, b: Pair) -> Pair:
    """a + b for |a| >= |b|, with a relative error of a few 2^-104."""
    high, low = two_sum(a[0], b[0])
    return quick_two_sum(high, low + (a[1] + b[1]))


def multiply(a: Pair, b: Pair) -> Pair:
    """a * b, with a relative error of a few 2^-104."""
    high, low = two_product(a[0], b[0])
    return quick_two_sum(high, low + (a[0] * b[1] + a[1] * b[0]))


def _halves(a: float) -> Pair:
    """a as a sum of two floats of at most 26 bits each (Dekker 1971, section 5)."""
    scaled = SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high
