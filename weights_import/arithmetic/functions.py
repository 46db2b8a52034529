"""Elementary functions in float64: of numbers in kernels, and over arrays of any shape.

`exp_of` and the like are functions of one number, for kernels.  `exp` and the like give an array of
float64 for numbers of any type.  The modules of the functions state their formulas and errors.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from weights_import.arithmetic.elementwise import elementwise
from weights_import.arithmetic.error_function import erf_of
from weights_import.arithmetic.exponential import exp2_of, exp_of, sigmoid_of, tanh_of
from weights_import.arithmetic.kernel import kernel
from weights_import.arithmetic.logarithm import log2_of, log_of, power_of
from weights_import.arithmetic.trigonometry import arctan2_of, cos_of, sin_of
from weights_import.tensors import Float64

__all__ = [
    "arctan2", "arctan2_of", "cos", "cos_of", "erf", "erf_of", "exp", "exp2", "exp2_of", "exp_of",
    "log", "log2", "log2_of", "log_of", "power", "power_of", "sigmoid", "sigmoid_of", "sin",
    "sin_of", "tanh", "tanh_of",
]  # fmt: skip

EXP, EXP2, LOG, LOG2, SIN, COS, TANH, ERF, SIGMOID = range(9)
ARCTAN2, POWER = range(2)


def exp(x: ArrayLike) -> Float64:
    """e^x."""
    return elementwise(_of_one, EXP, x)


def exp2(x: ArrayLike) -> Float64:
    """2^x, exact for whole numbers."""
    return elementwise(_of_one, EXP2, x)


def log(x: ArrayLike) -> Float64:
    """The natural logarithm: -inf for 0, nan for negative numbers."""
    return elementwise(_of_one, LOG, x)


def log2(x: ArrayLike) -> Float64:
    """The logarithm to the base 2, exact for powers of two; otherwise as `log`."""
    return elementwise(_of_one, LOG2, x)


def sin(x: ArrayLike) -> Float64:
    """The sine of x radians; nan for |x| > 2^20."""
    return elementwise(_of_one, SIN, x)


def cos(x: ArrayLike) -> Float64:
    """The cosine of x radians; nan for |x| > 2^20."""
    return elementwise(_of_one, COS, x)


def tanh(x: ArrayLike) -> Float64:
    """(e^x - e^-x) / (e^x + e^-x)."""
    return elementwise(_of_one, TANH, x)


def erf(x: ArrayLike) -> Float64:
    """2/sqrt(pi) times the integral of exp(-u^2) from 0 to x."""
    return elementwise(_of_one, ERF, x)


def sigmoid(x: ArrayLike) -> Float64:
    """1 / (1 + e^-x)."""
    return elementwise(_of_one, SIGMOID, x)


def arctan2(y: ArrayLike, x: ArrayLike) -> Float64:
    """The angle of the point (x, y), in [-pi, pi]."""
    return elementwise(_of_two, ARCTAN2, y, x)


def power(base: ArrayLike, exponent: ArrayLike) -> Float64:
    """base^exponent for base > 0; nan for another base."""
    return elementwise(_of_two, POWER, base, exponent)


@kernel
def _of_one(code, x, y):
    """All functions are in one kernel, because Numba takes long to begin one."""
    if code == EXP:
        for i in range(len(x)):
            y[i] = exp_of(x[i])
    elif code == EXP2:
        for i in range(len(x)):
            y[i] = exp2_of(x[i])
    elif code == LOG:
        for i in range(len(x)):
            y[i] = log_of(x[i])
    elif code == LOG2:
        for i in range(len(x)):
            y[i] = log2_of(x[i])
    elif code == SIN:
        for i in range(len(x)):
            y[i] = sin_of(x[i])
    elif code == COS:
        for i in range(len(x)):
            y[i] = cos_of(x[i])
    elif code == TANH:
        for i in range(len(x)):
            y[i] = tanh_of(x[i])
    elif code == ERF:
        for i in range(len(x)):
            y[i] = erf_of(x[i])
    else:
        for i in range(len(x)):
            y[i] = sigmoid_of(x[i])


@kernel
def _of_two(code, x, y, z):
    if code == ARCTAN2:
        for i in range(len(x)):
            z[i] = arctan2_of(x[i], y[i])
    else:
        for i in range(len(x)):
            z[i] = power_of(x[i], y[i])
