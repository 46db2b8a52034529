"""Linear algebra: products and inverses of small matrices in float64.

Factors and singular values have modules of their own.
"""

from __future__ import annotations

import numpy as np

from weights_import.arithmetic.cholesky import cholesky, small_cholesky
from weights_import.arithmetic.kernel import kernel
from weights_import.arithmetic.singular_values import singular_values
from weights_import.tensors import Float64

__all__ = [
    "cholesky",
    "inverse_of_lower",
    "second_moment",
    "singular_values",
    "small_cholesky",
    "small_product",
]

ROWS = 128
"""Rows that stay in the second cache."""


def small_product(a: Float64, b: Float64) -> Float64:
    """a b for a [m, k] and b [k, n]: ((0 + a[i, 0] b[0, j]) + a[i, 1] b[1, j]) + ..."""
    found = np.zeros((len(a), b.shape[1]))
    _add_product(_copied(a), _copied(b), found)
    return found


def second_moment(x: Float64) -> Float64:
    """x^T x for x [rows, n]: ((0 + x[0, i] x[0, j]) + x[1, i] x[1, j]) + ..."""
    found = np.zeros((x.shape[1], x.shape[1]))
    for first in range(0, len(x), ROWS):
        part = _copied(x[first : first + ROWS])
        _add_product(_copied(part.T), part, found)
    return found


def inverse_of_lower(lower: Float64) -> Float64:
    """X with L X = 1 for a lower triangular L [n, n] whose diagonal has no zero.

        X[i, j] = ((1[i, j] - L[i, 0] X[0, j]) - ... - L[i, i - 1] X[i - 1, j]) / L[i, i]

    (Golub and Van Loan 2013, algorithm 3.1.1 for every column of the unit matrix).
    """
    found = np.eye(len(lower))
    _substitute(_copied(lower), found)
    return found


def _copied(a: Float64) -> Float64:
    """A contiguous copy that may be written, because Numba compiles for each kind of array."""
    return np.array(a, np.float64, order="C")


@kernel
def _add_product(a, b, found):
    for i in range(len(a)):
        for k in range(len(b)):
            share = a[i, k]
            for j in range(found.shape[1]):
                found[i, j] += share * b[k, j]


@kernel
def _substitute(lower, found):
    """Replace the unit matrix by the inverse."""
    for i in range(len(lower)):
        for k in range(i):
            share = lower[i, k]
            for j in range(i):
                found[i, j] -= share * found[k, j]
        pivot = lower[i, i]
        for j in range(i + 1):
            found[i, j] /= pivot
