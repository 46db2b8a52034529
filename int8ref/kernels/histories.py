"""The places of rows in a history (`int8ref.abi.frame`)."""

from __future__ import annotations

from typing import Any, NamedTuple

from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.memory import copy_bytes


class Rows(NamedTuple):
    """Rows of int8 in pages, in pieces of `pitch` columns.

    base      address of the first row
    width     columns of a row
    pitch     columns of a piece, and bytes from a row to the next row of its page
    page      rows of a page
    """

    base: Any
    width: Any
    pitch: Any
    page: Any


@kernel
def row_at(rows, row, column):
    """The address of a column of a row; `column` is a multiple of the pitch, or in the first
    piece."""
    page = row // rows.page
    first = rows.base + page * rows.page * rows.width + (row - page * rows.page) * rows.pitch
    return first + (column * rows.page if rows.pitch < rows.width else column)


@kernel
def rows_left(rows, row):
    """The number of rows from `row` to the end of its page."""
    return rows.page - row % rows.page


@kernel
def write_row(rows, row, source):
    """Copy `width` bytes to a row."""
    for column in range(0, rows.width, rows.pitch):
        copy_bytes(source + column, row_at(rows, row, column), rows.pitch)


@kernel
def copy_rows(rows, source, target, count):
    """Copy `count` rows to other rows.  The first ones are first rows of pages."""
    for first in range(0, count, rows.page):
        bytes_of_piece = min(rows.page, count - first) * rows.pitch
        for column in range(0, rows.width, rows.pitch):
            old = row_at(rows, source + first, column)
            copy_bytes(old, row_at(rows, target + first, column), bytes_of_piece)
