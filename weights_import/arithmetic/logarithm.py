"""log, log2 and powers of a float64 number.

    x = 2^k m,  m in [sqrt(1/2), sqrt(2)),  f = m - 1 (exact),  s = f / (2 + f),  |s| < 0.1716
    log(m) = 2 artanh(s) = 2 s + (2/3) s^3 + (2/5) s^5 + ...

The series goes up to s^21.  The first term left out is below 0.1716^22 / 23 < 2^-60 of the result.
f stays apart, as in the function __ieee754_log of fdlibm (Sun Microsystems 1993):

    log(m) = f - (f^2/2 - s (f^2/2 + R)),  R = (2/3) s^2 + (2/5) s^4 + ...

Errors in units in the last place (tests/weights_import/arithmetic/test_functions.py measures
them): log 0.9, log2 2, power 0.9.
"""

from __future__ import annotations

from weights_import.arithmetic.constants import LN_2, LOG2_E, ONE, nearest, parts, two_parts
from weights_import.arithmetic.exponential import LEAST, MOST, bounded, exp_of_sum
from weights_import.arithmetic.float_pairs import (
    Pair,
    add,
    multiply,
    quick_two_sum,
    two_product,
    two_sum,
)
from weights_import.arithmetic.leaf import (
    exponent_of,
    is_nan,
    leaf,
    polynomial,
    select,
    times_power,
)

TERMS = 10
SERIES = tuple(2 / (2 * n + 1) for n in range(1, TERMS + 1))
LONG_TERMS = 13
LONG_SERIES = tuple(2 / (2 * n + 1) for n in range(2, LONG_TERMS + 1))
TWO_THIRDS = two_parts(2 * ONE // 3)
LN_2_HIGH, LN_2_LOW = parts(LN_2, 42)
LOG2_E_NEAREST = nearest(LOG2_E)

INFINITY, NAN = float("inf"), float("nan")
LEAST_NORMAL = 2.0**-1022
LIFT = 54.0
"""Numbers below LEAST_NORMAL are multiplied by 2^LIFT."""
LARGEST_EXPONENT = 2.0**65
"""A larger exponent gives 0, 1 or infinity, as this one does: |log(x)| > 2^-54 unless x = 1."""
LARGEST_EXACT = 1000.0
"""exp of a larger number needs no second float, because it is 0 or infinity."""


@leaf
def log_of(x: float) -> float:
    """The natural logarithm: -inf for 0, nan for negative numbers."""
    k, f = _reduced(x)
    half, inner = _log_parts(f)
    return _usual(x, k * LN_2_HIGH - ((half - (inner + k * LN_2_LOW)) - f))


@leaf
def log2_of(x: float) -> float:
    """The logarithm to the base 2, exact for powers of two; see `log_of`."""
    k, f = _reduced(x)
    half, inner = _log_parts(f)
    return _usual(x, k + (f - (half - inner)) * LOG2_E_NEAREST)


@leaf
def power_of(base: float, exponent: float) -> float:
    """base^exponent for base > 0; nan for another base.

    It is exp(exponent * log(base)).  The logarithm and the product have two floats each, because an
    error of the product is a relative error of the result.
    """
    factor = bounded(exponent, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    high, low = multiply(_log_in_two(base), (factor, 0.0))
    found = exp_of_sum(bounded(high, LEAST, MOST), select(abs(high) > LARGEST_EXACT, 0.0, low))
    limit = select(exponent > 0.0, INFINITY, select(exponent < 0.0, 0.0, 1.0))
    found = select(base < INFINITY, found, limit)
    found = select(base > 0.0, found, select(is_nan(base), base, NAN))
    return select(is_nan(exponent), exponent, found)


def _usual(x: float, found: float) -> float:
    """The logarithm `found` of a positive, finite x, or the logarithm of another x."""
    others = select(is_nan(x), x, select(x < 0.0, NAN, -INFINITY))
    return select(x > 0.0, select(x < INFINITY, found, x), others)


def _reduced(x: float) -> Pair:
    """k and f of x; of 1 for an x that is not positive and finite."""
    y = select(x > 0.0, select(x < INFINITY, x, 1.0), 1.0)
    tiny = y < LEAST_NORMAL
    y = select(tiny, y * 2.0**LIFT, y)
    k = exponent_of(y)
    return k - select(tiny, LIFT, 0.0), times_power(y, -k) - 1.0


def _log_parts(f: float) -> Pair:
    """f^2/2 and s (f^2/2 + R)."""
    s = f / (2.0 + f)
    square = s * s
    half = 0.5 * f * f
    return half, s * (half + square * polynomial(square, SERIES))


def _log_in_two(x: float) -> Pair:
    """The natural logarithm of x as two floats, with a relative error below 2^-63.

    s, s^2 and the coefficient of s^3 have two floats.  The terms from s^5 on, in one float, are
    below 2^-12 of the result.  They go up to s^27; the first term left out is below
    0.1716^28 / 29 < 2^-76.
    """
    k, f = _reduced(x)
    divisor, rest = two_sum(f, 2.0)
    high = f / divisor
    product, error = two_product(high, divisor)
    s = quick_two_sum(high, (((f - product) - error) - high * rest) / divisor)
    square = multiply(s, s)
    longer = square[0] * polynomial(square[0], LONG_SERIES)
    cubic = multiply(multiply(s, square), add(TWO_THIRDS, (longer, 0.0)))
    log = add((2.0 * s[0], 2.0 * s[1]), cubic)
    whole = two_sum(k * LN_2_HIGH, log[0])
    return quick_two_sum(whole[0], whole[1] + (k * LN_2_LOW + log[1]))
