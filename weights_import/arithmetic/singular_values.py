"""Singular values by one-sided Jacobi rotations.

Rotations make the columns of a matrix orthogonal (Hestenes 1958; Golub and Van Loan 2013, section
8.6.3).  A sweep takes the pairs of columns p < q in the order (0, 1), (0, 2), ..., (1, 2), ...:

    alpha = |a_p|^2,  beta = |a_q|^2,  gamma = a_p . a_q  (sums in ascending order)
    zeta = (beta - alpha) / (2 gamma),  t = sign(zeta) / (|zeta| + sqrt(1 + zeta^2))
    c = 1 / sqrt(1 + t^2),  s = t c
    a_p, a_q = c a_p - s a_q, s a_p + c a_q

The same rotations turn the unit matrix into V.  The last sweep is the first one without rotations.
A pair is left alone if |gamma| <= m 2^-53 sqrt(alpha) sqrt(beta), because the error of gamma is as
large, or if one of the columns is negligible.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from weights_import.arithmetic.kernel import kernel
from weights_import.tensors import Float64

MOST_SWEEPS = 64
"""Usually, fewer than 12 are needed."""
UNIT = 2.0**-53


def singular_values(a: Float64) -> tuple[Float64, Float64, Float64]:
    """u [m, k], s [k] and v [n, k] with a = u diag(s) v^T, for a finite a [m, n], k = min(m, n).

    The columns of u and of v are orthonormal.  s falls; equal values are in the order of the
    columns of a.  A column is negligible if its length is at most 2^-51 times the root of the
    sum of squares of a.  Then its s is 0, and its u is made by `_complete`.
    """
    if a.shape[0] < a.shape[1]:
        v, s, u = singular_values(a.T)
        return u, s, v
    exponent = int(np.frexp(np.abs(a).max(initial=0.0))[1])  # so that no square overflows
    columns = np.array(np.ldexp(a, -exponent).T, np.float64, order="C")
    turned = np.eye(len(columns))
    least = 4 * UNIT * _lengths(columns.reshape(1, -1))[0]
    for _ in range(MOST_SWEEPS):
        if not _sweep(columns, turned, least):
            break
    lengths = _lengths(columns)
    order = np.argsort(-lengths, kind="stable")
    s, u, v = lengths[order], columns[order], turned[order]
    rank = int(np.count_nonzero(s > least))
    s[rank:] = 0
    u[:rank] /= s[:rank, None]
    _complete(u, rank)
    return np.ascontiguousarray(u.T), np.ldexp(s, exponent), np.ascontiguousarray(v.T)


def _lengths(rows: Float64) -> Float64:
    return cast(Float64, np.sqrt(_ascending(rows * rows, 1)))


def _ascending(terms: Float64, axis: int) -> Float64:
    """Sums in ascending order; 0 of nothing."""
    if not terms.shape[axis]:
        return np.zeros(terms.shape[1 - axis])
    return cast(Float64, np.cumsum(terms, axis=axis).take(-1, axis=axis))


def _complete(u: Float64, rank: int) -> None:
    """Make all rows of u orthonormal, the first `rank` of which are so.

    The next row comes from the unit vector that the rows before it cover least (the first one of
    several).  The rows before it are taken from it twice, because the second time removes the
    rounding errors of the first (Giraud et al. 2005).
    """
    for j in range(rank, len(u)):
        before, row = u[:j], np.zeros((1, u.shape[1]))
        row[0, np.argmin(_ascending(before * before, 0))] = 1.0
        for _ in range(2):
            row -= _ascending(_ascending(before * row, 1)[:, None] * before, 0)
        u[j] = row[0] / _lengths(row)


@kernel
def _sweep(columns, turned, least):
    """Rotate each pair of rows once.  Returns the number of rotations."""
    count, size = columns.shape
    rotations = 0
    for p in range(count):
        for q in range(p + 1, count):
            alpha, beta, gamma = 0.0, 0.0, 0.0
            for i in range(size):
                x, y = columns[p, i], columns[q, i]
                alpha += x * x
                beta += y * y
                gamma += x * y
            first, second = np.sqrt(alpha), np.sqrt(beta)
            negligible = first <= least or second <= least
            if negligible or abs(gamma) <= size * UNIT * first * second:
                continue
            zeta = (beta - alpha) / (2.0 * gamma)
            t = 1.0 / (abs(zeta) + np.sqrt(1.0 + zeta * zeta))
            t = -t if zeta < 0.0 else t
            c = 1.0 / np.sqrt(1.0 + t * t)
            _turn(columns, p, q, c, t * c)
            _turn(turned, p, q, c, t * c)
            rotations += 1
    return rotations


@kernel
def _turn(rows, p, q, c, s):
    for i in range(rows.shape[1]):
        x, y = rows[p, i], rows[q, i]
        rows[p, i] = c * x - s * y
        rows[q, i] = s * x + c * y
