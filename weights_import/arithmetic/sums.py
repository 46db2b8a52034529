"""Sums of float64 in ascending order."""

from __future__ import annotations

import numpy as np

from weights_import.arithmetic.kernel import kernel
from weights_import.tensors import Float64


def squared_distance(a: Float64, b: Float64) -> float:
    """((0 + (a[0] - b[0])^2) + (a[1] - b[1])^2) + ..."""
    return float(_squared_distance(np.ascontiguousarray(a), np.ascontiguousarray(b)))


@kernel
def _squared_distance(a, b):
    total = 0.0
    for i in range(len(a)):
        difference = a[i] - b[i]
        total += difference * difference
    return total


def sum_of_squares(x: Float64) -> float:
    """((0 + x[0]^2) + x[1]^2) + ..."""
    return dot(x, x)


def dot(a: Float64, b: Float64) -> float:
    """((0 + a[0] * b[0]) + a[1] * b[1]) + ..."""
    return float(_dot(np.ascontiguousarray(a), np.ascontiguousarray(b)))


@kernel
def _dot(a, b):
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total
