"""Matrix products in float32.

An element of y = x W^T is a sum over the columns.  The columns are cut into blocks of DEPTH:

    block = ((0 + x[0] w[0]) + x[1] w[1]) + ...
    y     = ((0 + block 0) + block 1) + ...
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.kernels.ir.lowering import address
from weights_import.arithmetic.kernel import kernel
from weights_import.arithmetic.strip import add_strip, add_strip_of_halves
from weights_import.arithmetic.threads import in_threads
from weights_import.arithmetic.tile import STRIP

Float32 = NDArray[np.float32]
Halves = NDArray[np.uint16]

DEPTH = 256
"""Columns whose products are summed before the sum is added to the result."""
ROWS = 128
"""Rows that stay in the second cache while all weights pass."""
FLOAT, HALF = np.float32, np.uint16


def packed(w: Float32) -> Float32:
    """Weights [n, k] as strips [n / STRIP, k, STRIP], the last one filled up with zeros."""
    return _packed(w)


def packed_halves(w: Float32) -> Halves:
    """The same for weights that are all numbers of bfloat16, in half of the bytes."""
    return _packed((w.view(np.uint32) >> np.uint32(16)).astype(np.uint16))


def _packed(w: NDArray[Any]) -> NDArray[Any]:
    strips = -(-len(w) // STRIP)
    found = np.zeros((strips, w.shape[1], STRIP), w.dtype)
    whole = len(w) // STRIP
    found[:whole] = w[: whole * STRIP].reshape(whole, STRIP, w.shape[1]).swapaxes(1, 2)
    if whole < strips:
        found[whole, :, : len(w) - whole * STRIP] = w[whole * STRIP :].T
    return found


def product(x: Float32, strips: Float32 | Halves, columns: int) -> Float32:
    """x [rows, k] times packed weights [columns, k], transposed: float32 [rows, columns]."""
    x = np.ascontiguousarray(x, np.float32)
    multiply = _multiply if strips.dtype == np.float32 else _multiply_halves
    found = np.zeros((len(x), len(strips) * STRIP), np.float32)
    tasks = [(first, min(first + ROWS, len(x))) for first in range(0, len(x), ROWS)]
    if len(tasks) > 1:
        in_threads(lambda rows: multiply(x, strips, found, *rows, 0, len(strips)), tasks)
    else:
        in_threads(lambda part: multiply(x, strips, found, 0, len(x), *part), shares(len(strips)))
    return found if found.shape[1] == columns else np.ascontiguousarray(found[:, :columns])


def shares(count: int, least: int = 8) -> list[tuple[int, int]]:
    """[0, count) in pieces of `least` or more."""
    return list(pairwise([*range(0, count, least), count]))


@kernel
def _multiply(x, strips, y, first, last, first_strip, last_strip):
    depth = x.shape[1]
    x_row, y_row = 4 * depth, 4 * y.shape[1]
    x_at, y_at = address(x, FLOAT) + first * x_row, address(y, FLOAT) + first * y_row
    w_at = address(strips, FLOAT)
    for strip in range(first_strip, last_strip):
        for begin in range(0, depth, DEPTH):
            count = min(DEPTH, depth - begin)
            w = w_at + 4 * STRIP * (strip * depth + begin)
            x_part, y_part = x_at + 4 * begin, y_at + 4 * STRIP * strip
            add_strip(x_part, x_row, 4, w, count, y_part, y_row, last - first)


@kernel
def _multiply_halves(x, strips, y, first, last, first_strip, last_strip):
    depth = x.shape[1]
    x_row, y_row = 4 * depth, 4 * y.shape[1]
    x_at, y_at = address(x, FLOAT) + first * x_row, address(y, FLOAT) + first * y_row
    w_at = address(strips, HALF)
    for strip in range(first_strip, last_strip):
        for begin in range(0, depth, DEPTH):
            count = min(DEPTH, depth - begin)
            w = w_at + 2 * STRIP * (strip * depth + begin)
            x_part, y_part = x_at + 4 * begin, y_at + 4 * STRIP * strip
            add_strip_of_halves(x_part, x_row, 4, w, count, y_part, y_row, last - first)
