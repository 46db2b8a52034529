"""Activations of the hidden layer, each a function of one number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from weights_import.float_model import Activation, Float32

ERF_SCALE = 0.3275911
ERF_COEFFICIENTS = 1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592


def relu(x: Float32) -> Float32:
    """max(x, 0)"""
    y: Float32 = np.maximum(x, 0)
    return y


def sigmoid(x: Float32) -> Float32:
    """1 / (1 + exp(-x)), written as a tanh because that cannot overflow."""
    y: Float32 = x.dtype.type(0.5) * (np.tanh(x.dtype.type(0.5) * x) + x.dtype.type(1))
    return y


def swish(x: Float32) -> Float32:
    """x * sigmoid(x), also called SiLU (Ramachandran et al. 2017, section 3)."""
    return x * sigmoid(x)


def gelu(x: Float32) -> Float32:
    """x * P(X <= x) = x / 2 * (1 + erf(x / sqrt(2))), X normal (Hendrycks and Gimpel 2016)."""
    y: Float32 = x.dtype.type(0.5) * x * (1 + erf(x * x.dtype.type(0.5**0.5)))
    return y


def erf(x: Float32) -> Float32:
    """The error function, within 1.5e-7 (Abramowitz and Stegun 1964, formula 7.1.26)."""
    size = np.abs(x)
    t = 1 / (1 + x.dtype.type(ERF_SCALE) * size)
    polynomial = np.zeros_like(t)
    for coefficient in ERF_COEFFICIENTS:
        polynomial = (polynomial + x.dtype.type(coefficient)) * t
    y: Float32 = np.copysign(1 - polynomial * np.exp(-size * size), x)
    return y


ACTIVATIONS: dict[Activation, Callable[[Float32], Float32]] = {
    "relu": relu,
    "swish": swish,
    "gelu": gelu,
}
