"""The kernels of the rounding of weights: the Gram matrix of inputs, and nearest planes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.kernels.ir.lowering import address
from weights_import.arithmetic.kernel import kernel
from weights_import.arithmetic.product import DEPTH, Float32
from weights_import.arithmetic.strip import add_strip
from weights_import.arithmetic.threads import in_threads
from weights_import.arithmetic.tile import STRIP, TALLEST, tall

BLOCK = 64
"""Columns whose errors are added to the columns before them at once."""
GROUP = 4
"""Strips of channels that one strip of weights passes while it stays in the first cache."""
FLOAT = np.float32
BYTES = 4
LINE = STRIP * BYTES
LARGEST = np.float32(127)
"""Magnitude of an integer."""
NOTHING = np.float32(0)


def gram(x: Float32, unit: NDArray[np.float64]) -> Float32:
    """Y^T Y for Y = x [rows, k] * unit [k]: float32 [k, k], equal to its transpose.

    The elements of Y are rounded to float32.  The rows are cut into blocks of DEPTH, in ascending
    order.  The sum of a block is ((0 + Y[0, i] Y[0, j]) + Y[1, i] Y[1, j]) + ..., and the result is
    ((0 + block 0) + block 1) + ...
    """
    strips = _strips(x, unit)
    width = len(strips) * STRIP
    found = np.zeros((width, width), np.float32)
    # The last groups are first, because they take the longest.
    groups = reversed(range(0, len(strips), GROUP))
    in_threads(lambda first: _multiply(strips, found, first), groups)
    for end in range(STRIP, width, STRIP):
        found[:end, end : end + STRIP] = found[end : end + STRIP, :end].T
    return np.ascontiguousarray(found[: len(unit), : len(unit)])


def _strips(x: Float32, unit: NDArray[np.float64]) -> Float32:
    """x * unit as strips of channels [k / STRIP, rows, STRIP], the last one filled with zeros."""
    found = np.zeros((-(-len(unit) // STRIP), len(x), STRIP), np.float32)
    for strip, first in zip(found, range(0, len(unit), STRIP), strict=True):
        units = unit[first : first + STRIP]
        part = x[:, first : first + STRIP]
        # The product is exact in float64.
        np.multiply(part, units, out=strip[:, : len(units)], casting="same_kind")
    return found


@kernel
def _multiply(strips, found, first):
    """Add the products of a group of strips with each other and with the strips before them."""
    rows, last = strips.shape[1], min(first + GROUP, len(strips))
    x_at, y_at, y_row = address(strips, FLOAT), address(found, FLOAT), BYTES * found.shape[1]
    for begin in range(0, rows, DEPTH):
        count = min(DEPTH, rows - begin)
        for column in range(last):
            w = x_at + LINE * (column * rows + begin)
            for strip in range(max(first, column), last):
                x = x_at + LINE * (strip * rows + begin)
                y = y_at + STRIP * strip * y_row + LINE * column
                for i in range(0, STRIP, TALLEST):
                    tall(x + BYTES * i, BYTES, LINE, w, count, y + i * y_row, y_row)


def total(values: Float32) -> float:
    """((0 + values[0]) + values[1]) + ... in float64."""
    return float(_total(np.ascontiguousarray(values)))


@kernel
def _total(values):
    found = 0.0
    for value in values:
        found += np.float64(value)
    return found


def nearest_planes(
    w: NDArray[np.floating[Any]],
    scale: NDArray[np.float64],
    order: NDArray[np.intp],
    taken: Float32,
    room: tuple[NDArray[np.intp], Float32],
) -> NDArray[np.int8]:
    """Integers q [n, k] near w [n, k] / scale [n], as `weight_rounding.round_weight` defines them.

    taken   [k, k]: the share taken[j, c] of the error of column j that column c takes up, both in
            `order`
    room    the owner of each column of w, [k], and what the integers of each owner in one row may
            add up to, positive and negative ones by themselves: [owners]
    """
    found = np.empty(w.shape, np.int8)
    owner, limit = room

    def work(first: int) -> None:
        rows = slice(first, first + STRIP)
        exact = _columns(np.ascontiguousarray(w[rows]), scale[rows], order)
        _round(exact, order, taken, owner, limit, found[rows])

    in_threads(work, range(0, len(w), STRIP))
    return found


@kernel
def _columns(w, scale, order):
    """Up to STRIP rows of w in units of their scale, as columns in `order`: [k, STRIP]."""
    found = np.zeros((len(order), STRIP), FLOAT)
    for i in range(len(w)):
        for column in range(len(order)):
            found[column, i] = FLOAT(w[i, order[column]] / scale[i])
    return found


@kernel
def _round(left, order, taken, owner, limit, found):
    """Round the columns `left` [k, STRIP], which become what is left of them.  A lane is a row."""
    target = left.copy()
    room = np.empty((len(limit), 2, STRIP), FLOAT)
    for i in range(len(limit)):
        room[i] = limit[i]
    for last in range(len(order), 0, -BLOCK):
        first = max(0, last - BLOCK)
        for column in range(last - 1, first - 1, -1):
            _take_up(taken, left, target, column, column + 1, column + 1, last)
            _choose(target[column], left[column], room[owner[order[column]]])
            for i in range(len(found)):
                found[i, order[column]] = np.int8(target[column, i])
        _take_up(taken, left, target, 0, first, first, last)


@kernel
def _take_up(taken, error, target, begin, end, first, last):
    """Add the errors of columns [first, last), in ascending order, to targets [begin, end)."""
    row, count = BYTES * len(taken), last - first
    x = address(taken, FLOAT) + row * first + BYTES * begin
    w, y = address(error, FLOAT) + LINE * first, address(target, FLOAT) + LINE * begin
    add_strip(x, BYTES, row, w, count, y, LINE, end - begin)


@kernel
def _choose(target, left, room):
    """Replace a target by its integer, what is left of the exact number, and the room."""
    for i in range(STRIP):
        most, least = min(room[0, i], LARGEST), -min(room[1, i], LARGEST)
        chosen = max(min(np.rint(target[i]), most), least)
        target[i] = chosen
        left[i] -= chosen
        room[0, i] -= max(chosen, NOTHING)
        room[1, i] += min(chosen, NOTHING)
