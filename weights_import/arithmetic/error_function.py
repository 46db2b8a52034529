"""The error function of a float64 number.

The Taylor series at the nearest multiple c of 1/16, |h| <= 1/32:

    erf(c + h) = erf(c) + D h (1 + t[1] / 2 + t[2] / 3 + ...),  D = erf'(c) = 2/sqrt(pi) exp(-c^2)
    exp(-2 c h - h^2) = 1 + t[1] + t[2] + ...
    t[0] = 1,  t[1] = -2 c h,  t[n + 1] = (-2 c h t[n] - 2 h^2 t[n - 1]) / (n + 1)

because erf'(c + u) = D exp(-2 c u - u^2), and t are the terms h^n of its series.  They are Hermite
polynomials, |D t[n]| < 1.3 sqrt(2^n / n!) |h|^n (Abramowitz and Stegun 1964, formula 22.14.17).
The sum goes up to t[9].  The first term left out is below 2^-60 of the result.
Both tables are computed from integers.

The absolute error is below 1.5e-16, and below 3.5 units in the last place
(tests/weights_import/arithmetic/test_functions.py measures both).
"""

from __future__ import annotations

from weights_import.arithmetic.constants import BITS, TWO_OVER_ROOT_PI, exp_of_minus, nearest
from weights_import.arithmetic.leaf import is_nan, leaf, looked_up, select, whole, with_sign

STEPS = 16
"""Steps of a table in an interval of length 1."""
END = 6
"""erf(x) rounds to 1 for every x from END on, as 1 - erf(6) < 2^-55."""
TERMS = 9


def _derivatives() -> list[int]:
    """2/sqrt(pi) exp(-c^2) for c = i / STEPS, as integers: each is exp(-(2 i - 1) / STEPS^2) times
    the one before, because i^2 is the sum of the first i odd numbers."""
    first = exp_of_minus(1, STEPS**2)
    square = first * first >> BITS
    found, factor = [TWO_OVER_ROOT_PI], first
    for _ in range(END * STEPS):
        found.append(found[-1] * factor >> BITS)
        factor = factor * square >> BITS
    return found


def _values(derivatives: list[int]) -> list[int]:
    """erf(c) = D (c + (2/3) c^3 + (4/15) c^5 + ...): each term is 2 c^2 / (2 n + 1) times the one
    before (Abramowitz and Stegun 1964, formula 7.1.6)."""
    found = []
    for i, derivative in enumerate(derivatives):
        total, term, n = 0, derivative * i // STEPS, 1
        while term:
            total += term
            term = term * 2 * i * i // (STEPS**2 * (2 * n + 1))
            n += 1
        found.append(total)
    return found


_exact = _derivatives()
DERIVATIVES = tuple(nearest(number) for number in _exact)
VALUES = tuple(nearest(number) for number in _values(_exact))


@leaf
def erf_of(x: float) -> float:
    """2/sqrt(pi) times the integral of exp(-u^2) from 0 to x."""
    size = select(is_nan(x), 0.0, abs(x))
    size = select(size > END, float(END), size)
    index = whole(size * STEPS)
    c = index * (1.0 / STEPS)
    h = size - c
    one, two = -2.0 * c * h, -2.0 * h * h
    before, term, total = 1.0, one, 1.0 + 0.5 * one
    for n in range(1, TERMS):
        before, term = term, (one * term + two * before) * (1 / (n + 1))
        total = total + term * (1 / (n + 2))
    found = looked_up(VALUES, index) + looked_up(DERIVATIVES, index) * h * total
    return select(is_nan(x), x, with_sign(found, x))
