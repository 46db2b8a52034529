"""Elementary functions of floats with 80 digits, as oracles."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import wraps

DIGITS = 80
PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534"
)
NOTHING = Decimal(10) ** -DIGITS

Function = Callable[..., Decimal]


def precise(function: Function) -> Function:
    """Run a function in DIGITS digits and 20 more; its arguments are floats."""

    @wraps(function)
    def inside(*arguments: float) -> Decimal:
        with localcontext() as context:
            context.prec = DIGITS + 20
            return +function(*(Decimal(x) for x in arguments))

    return inside


@precise
def exp(x: Decimal) -> Decimal:
    return x.exp()


@precise
def exp2(x: Decimal) -> Decimal:
    return (x * Decimal(2).ln()).exp()


@precise
def log(x: Decimal) -> Decimal:
    return x.ln()


@precise
def log2(x: Decimal) -> Decimal:
    return x.ln() / Decimal(2).ln()


@precise
def power(base: Decimal, exponent: Decimal) -> Decimal:
    return (exponent * base.ln()).exp()


@precise
def tanh(x: Decimal) -> Decimal:
    square = (2 * x).exp()
    return (square - 1) / (square + 1)


@precise
def sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


@precise
def sin(x: Decimal) -> Decimal:
    return _sine(x)


@precise
def cos(x: Decimal) -> Decimal:
    return _sine(x + PI / 2)


@precise
def erf(x: Decimal) -> Decimal:
    """Abramowitz and Stegun 1964, formula 7.1.5.  Its terms are as large as exp(x^2)."""
    with localcontext() as context:
        context.prec += int(x * x)
        total, power, n = Decimal(0), x, 0
        while abs(power) > NOTHING * abs(x) or n < x * x:
            total += power / (2 * n + 1)
            n += 1
            power *= -x * x / n
        return 2 / PI.sqrt() * total


@precise
def arctan2(y: Decimal, x: Decimal) -> Decimal:
    size = (x * x + y * y).sqrt()
    if x > 0:
        return 2 * _arctan(y / (size + x))
    if y == 0:
        return PI
    return 2 * (PI / 2 - _arctan(y / (size - x)) if y > 0 else -PI / 2 - _arctan(y / (size - x)))


def error(found: float, exact: Decimal) -> float:
    """The error in units in the last place of the exact result."""
    unit = Decimal(math.ulp(float(exact)))
    return float(abs(Decimal(found) - exact) / unit)


def _sine(x: Decimal) -> Decimal:
    turns = (x / PI).to_integral_value()
    r = x - turns * PI
    total, term, n = Decimal(0), r, 1
    while abs(term) > NOTHING * abs(r):
        total += term
        term *= -r * r / ((n + 1) * (n + 2))
        n += 2
    return -total if turns % 2 else total


def _arctan(q: Decimal) -> Decimal:
    """arctan(q) = 2 arctan(q / (1 + sqrt(1 + q^2))), then the Taylor series."""
    halvings = 8
    for _ in range(halvings):
        q /= 1 + (1 + q * q).sqrt()
    total, term, n = Decimal(0), q, 1
    while abs(term) > NOTHING * abs(q):
        total += term / n
        term *= -q * q
        n += 2
    return total * Decimal(2) ** halvings
