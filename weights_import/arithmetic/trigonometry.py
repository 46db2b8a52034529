"""sin, cos and arctan2 of float64 numbers.

sin and cos take the nearest multiple of pi/2 from the angle (Cody and Waite 1980, chapter 8):

    r = x - k pi/2,  k = round(x / (pi/2)),  |r| <= pi/4

pi/2 is the sum of four floats, of which the first three have 33 bits: k has 20, so that their
products are exact.  r has two floats, because x may be near to k pi/2.  The Taylor series go up to
r^17 / 17! and r^18 / 18!.  The first term left out is below (pi/4)^18 / 19! < 2^-60 of the result.

arctan2 takes the nearest of arctan(0), arctan(1/2) and arctan(1) from the angle:

    arctan(q) = arctan(c) + arctan(t),  t = (q - c) / (1 + c q),  q in [0, 1],  |t| < 0.2361

The Taylor series of arctan(t) goes up to t^27 / 27.  The first term left out is below
0.2361^28 / 29 < 2^-63 of t.

Errors in units in the last place (tests/weights_import/arithmetic/test_functions.py measures
them): sin and cos 0.9, arctan2 2.5.
"""

from __future__ import annotations

import math

from weights_import.arithmetic.constants import ARCTAN_HALF, ONE, PI, nearest, parts, two_parts
from weights_import.arithmetic.float_pairs import Pair, quick_two_sum, two_sum
from weights_import.arithmetic.leaf import is_nan, leaf, polynomial, select, whole, with_sign

LARGEST_ANGLE = 2.0**20
"""sin and cos give nan for larger angles."""
TURN = parts(PI // 2, 33, 33, 33)
TURNS = nearest(2 * ONE * ONE // PI)
SINE = tuple((-1) ** n / math.factorial(2 * n + 1) for n in range(1, 9))
COSINE = tuple((-1) ** n / math.factorial(2 * n) for n in range(2, 10))

SERIES = tuple((-1) ** n / (2 * n + 1) for n in range(1, 14))
FIRST_BREAK, SECOND_BREAK = 0.2361, 0.7208
"""Where two of the c are equally near: tan(arctan(1/2) / 2), tan(arctan(1/2) / 2 + pi/8)."""
HALF_ARC, QUARTER = two_parts(ARCTAN_HALF), two_parts(PI // 4)
RIGHT, STRAIGHT = two_parts(PI // 2), two_parts(PI)

LARGEST, NAN = 1.7976931348623157e308, float("nan")
LARGE, SMALL = 2.0**1000, 2.0**-900
SCALE = 2.0**100


@leaf
def sin_of(x: float) -> float:
    """The sine of x radians; nan for |x| > LARGEST_ANGLE."""
    return _sine(x, 0.0)


@leaf
def cos_of(x: float) -> float:
    """The cosine of x radians; nan for |x| > LARGEST_ANGLE."""
    return _sine(x, 1.0)


@leaf
def arctan2_of(y: float, x: float) -> float:
    """The angle of the point (x, y), in [-pi, pi]; signs of zeros and infinities as in C."""
    steep = abs(y) > abs(x)
    angle = _first_octant(select(steep, abs(x), abs(y)), select(steep, abs(y), abs(x)))
    angle = select(steep, RIGHT[0] - (angle - RIGHT[1]), angle)
    angle = select(with_sign(1.0, x) < 0.0, STRAIGHT[0] - (angle - STRAIGHT[1]), angle)
    return select(is_nan(x), x, select(is_nan(y), y, with_sign(angle, y)))


def _sine(x: float, turns: float) -> float:
    """sin(x + turns * pi/2)."""
    k, r = _reduced(select(abs(x) > LARGEST_ANGLE, 0.0, x))
    q = k + turns
    q = q - 4.0 * whole(0.25 * q)  # -2, -1, 0, 1 or 2
    sine, cosine = _near_zero(r)
    found = select(abs(abs(q) - 1.0) < 0.5, cosine, sine)
    found = select(abs(q - 0.5) > 1.0, -found, found)
    return select(is_nan(x), x, select(abs(x) > LARGEST_ANGLE, NAN, found))


def _reduced(x: float) -> tuple[float, Pair]:
    """k, and r in two floats."""
    k = whole(x * TURNS)
    high, low = two_sum(x - k * TURN[0], -(k * TURN[1]))
    high, error = two_sum(high, -(k * TURN[2]))
    return k, quick_two_sum(high, (low + error) - k * TURN[3])


def _near_zero(r: Pair) -> Pair:
    """sin and cos of r[0] + r[1], |r| <= pi/4.  The terms of r[1] are sin'(r) and cos'(r)."""
    high, low = r
    square = high * high
    half = 0.5 * square
    sine = high + (low * (1.0 - half) + high * square * polynomial(square, SINE))
    one = 1.0 - half
    error = (1.0 - one) - half
    cosine = one + (error + (square * square * polynomial(square, COSINE) - high * low))
    return sine, cosine


def _first_octant(y: float, x: float) -> float:
    """arctan(y / x) for 0 <= y <= x.  0 / 0 counts as 0, and inf / inf as 1."""
    y = select(x > LARGEST, select(y > LARGEST, 1.0, 0.0), y)
    x = select(x > LARGEST, 1.0, select(x > 0.0, x, 1.0))
    scale = select(x > LARGE, 1.0 / SCALE, select(x < SMALL, SCALE, 1.0))
    y, x = y * scale, x * scale
    first, second = y > FIRST_BREAK * x, y > SECOND_BREAK * x
    c = select(second, 1.0, select(first, 0.5, 0.0))
    high = select(second, QUARTER[0], select(first, HALF_ARC[0], 0.0))
    low = select(second, QUARTER[1], select(first, HALF_ARC[1], 0.0))
    t = (y - c * x) / (x + c * y)
    square = t * t
    return high + (low + (t + t * square * polynomial(square, SERIES)))
