"""Products with a strip of weights, for any number of rows: tall tiles, then rows of their own."""

from __future__ import annotations

from weights_import.arithmetic.kernel import kernel
from weights_import.arithmetic.tile import TALLEST, short, short_halves, tall, tall_halves


@kernel
def add_strip(x, x_row, x_step, w, depth, y, y_row, rows):
    """Add the product of x [rows, depth] and w [depth, STRIP] to y; see `tile.tile_of`."""
    i = 0
    while i + TALLEST <= rows:
        tall(x + i * x_row, x_row, x_step, w, depth, y + i * y_row, y_row)
        i += TALLEST
    while i < rows:
        short(x + i * x_row, x_row, x_step, w, depth, y + i * y_row, y_row)
        i += 1


@kernel
def add_strip_of_halves(x, x_row, x_step, w, depth, y, y_row, rows):
    """The same for weights that are bfloat16."""
    i = 0
    while i + TALLEST <= rows:
        tall_halves(x + i * x_row, x_row, x_step, w, depth, y + i * y_row, y_row)
        i += TALLEST
    while i < rows:
        short_halves(x + i * x_row, x_row, x_step, w, depth, y + i * y_row, y_row)
        i += 1
