"""Cholesky factors: of large matrices in float32, and of small ones in float64.

A small factor is

    L[i, j] = ((a[i, j] - L[i, 0] L[j, 0]) - ... - L[i, j - 1] L[j, j - 1]) / L[j, j],  i > j
    L[j, j] = sqrt((a[j, j] - L[j, 0]^2) - ... - L[j, j - 1]^2)

(Golub and Van Loan 2013, section 4.2).  A large one is computed in strips of STRIP columns, from
left to right.  For j in the strip that begins at column b, with t instead of a:

    t[i, j] = (a[i, j] - block 0) - block 1 - ...,  block = (0 + L[i, c] L[j, c]) + ...

The columns c < b are cut into blocks of DEPTH, in ascending order, and summed in float32.  From t
on, the strip is computed as above in float64, with products of columns from b to j - 1, and then
rounded to float32.
"""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.lowering import address
from weights_import.arithmetic.kernel import kernel
from weights_import.arithmetic.product import DEPTH
from weights_import.arithmetic.strip import add_strip
from weights_import.arithmetic.threads import in_threads
from weights_import.arithmetic.tile import STRIP
from weights_import.tensors import Float32, Float64

ROWS = 64
"""Rows whose float64 values of a strip stay in the first cache."""
FLOAT, BYTES = np.float32, 4
LINE = STRIP * BYTES


def small_cholesky(a: Float64) -> Float64:
    """The lower triangular L [n, n] with L L^T = a, for a symmetric positive definite a [n, n].

    Only the lower triangle of a is read.  Raises ValueError if a number of which the root is taken
    is not positive.
    """
    lower = np.array(a, np.float64, order="C")
    _check(_factor(lower))
    return np.tril(lower)


def cholesky(a: Float32) -> Float32:
    """The factor of a large matrix; see `small_cholesky`."""
    size = len(a)
    factor = np.zeros((size, -(-size // STRIP) * STRIP), np.float32)
    factor[:, :size] = a
    for begin in range(0, size, STRIP):
        _strip(factor, begin, min(begin + STRIP, size))
    return np.ascontiguousarray(factor[:, :size])


def _strip(factor: Float32, begin: int, end: int) -> None:
    """Compute columns [begin, end) of a factor, the columns before them being known."""
    above = np.zeros((max(begin, 1), STRIP), np.float32)
    np.negative(factor[begin:end, :begin].T, out=above[:begin, : end - begin])
    _subtract(factor, begin, above, begin, end)
    corner = factor[begin:end, begin:end].astype(np.float64)
    _check(_factor(corner), begin)
    factor[begin:end, begin:end] = np.tril(corner)
    factor[begin:end, end:] = 0

    def below(first: int) -> None:
        last = min(first + ROWS, len(factor))
        _subtract(factor, begin, above, first, last)
        _solve(factor, begin, corner, first, last)

    in_threads(below, range(end, len(factor), ROWS))


def _check(failed: int, begin: int = 0) -> None:
    if failed >= 0:
        raise ValueError(f"the matrix is not positive definite: pivot {begin + failed}")


@kernel
def _factor(lower):
    """Replace the lower triangle of a matrix by its factor.

    Returns the column that failed, or -1.
    """
    column = np.empty(len(lower))
    for j in range(len(lower)):
        pivot = lower[j, j]
        if not pivot > 0.0:
            return j
        root = np.sqrt(pivot)
        lower[j, j] = root
        for i in range(j + 1, len(lower)):
            share = lower[i, j] / root
            lower[i, j] = column[i] = share
            for c in range(j + 1, i + 1):
                lower[i, c] -= share * column[c]
    return -1


@kernel
def _subtract(factor, begin, above, first, last):
    """Add the products of rows [first, last) to the left of a strip with `above`."""
    row = BYTES * factor.shape[1]
    x_at, w_at = address(factor, FLOAT) + first * row, address(above, FLOAT)
    for start in range(0, begin, DEPTH):
        count, x, w = min(DEPTH, begin - start), x_at + BYTES * start, w_at + LINE * start
        add_strip(x, row, BYTES, w, count, x_at + BYTES * begin, row, last - first)


@kernel
def _solve(factor, begin, corner, first, last):
    """Rows [first, last) of a strip below its triangle.  A lane is a row."""
    width = len(corner)
    columns = np.zeros((width, ROWS))
    for i in range(last - first):
        for j in range(width):
            columns[j, i] = factor[first + i, begin + j]
    for j in range(width):
        for c in range(j):
            share = corner[j, c]
            for i in range(ROWS):
                columns[j, i] -= share * columns[c, i]
        pivot = corner[j, j]
        for i in range(ROWS):
            columns[j, i] /= pivot
    for i in range(last - first):
        for j in range(width):
            factor[first + i, begin + j] = FLOAT(columns[j, i])
