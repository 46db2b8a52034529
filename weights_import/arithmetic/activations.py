"""Activations of the hidden layer, each a function of one number."""

from __future__ import annotations

from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from weights_import.arithmetic.constants import ONE, PI, nearest, square_root
from weights_import.arithmetic.elementwise import elementwise
from weights_import.arithmetic.error_function import erf_of
from weights_import.arithmetic.exponential import sigmoid_of, tanh_of
from weights_import.arithmetic.kernel import kernel

Activation = Literal["relu", "swish", "gelu", "gelu_tanh", "tanh"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
RELU, SWISH, GELU, GELU_TANH, TANH = range(5)
Real = TypeVar("Real", np.float32, np.float64)

ROOT_HALF = nearest(square_root(ONE // 2))
ROOT_TWO_OVER_PI = nearest(square_root(2 * ONE * ONE // PI))
CUBIC = 0.044715
LEAST = -1000.0
"""A smaller number is replaced by this one, because -inf * 0 is not a number."""


def activate(name: Activation, x: NDArray[Real]) -> NDArray[Real]:
    """The activation of each number, computed in float64 and rounded once to the type of x.

    relu        max(x, 0)
    swish       x sigmoid(x), also called SiLU (Ramachandran et al. 2017, section 3)
    gelu        x P(X <= x) = x/2 (1 + erf(x / sqrt(2))), X normal (Hendrycks and Gimpel 2016,
                section 2)
    gelu_tanh   x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) (the same section)

    tanh        (e^x - e^-x) / (e^x + e^-x)

    Error of the value before it is rounded: for swish and tanh a few units in its last place, for
    gelu and gelu_tanh 2^-52 |x|.
    """
    return elementwise(_activate, ACTIVATIONS.index(name), x, dtype=x.dtype)


@kernel
def _activate(code, x, y):
    if code == RELU:
        for i in range(len(x)):
            y[i] = 0.0 if x[i] <= 0.0 else x[i]
    elif code == SWISH:
        for i in range(len(x)):
            v = LEAST if x[i] < LEAST else x[i]
            y[i] = v * sigmoid_of(v)
    elif code == GELU:
        for i in range(len(x)):
            v = LEAST if x[i] < LEAST else x[i]
            y[i] = 0.5 * v * (1.0 + erf_of(v * ROOT_HALF))
    elif code == TANH:
        for i in range(len(x)):
            y[i] = tanh_of(x[i])
    else:
        for i in range(len(x)):
            v = LEAST if x[i] < LEAST else x[i]
            inner = ROOT_TWO_OVER_PI * (v + CUBIC * (v * v * v))
            y[i] = 0.5 * v * (1.0 + tanh_of(inner))
