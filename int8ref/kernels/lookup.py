"""Compiled twin of `int8ref.reference.lookup`."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import ADDRESS, ITEM, WIDTH, operands_at
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.table import VECTORS, read_table
from int8ref.kernels.views import address_of, array, matrix, rows_of, word
from int8ref.reference.lookup import Lookup

AT = operands_at(Lookup)


@kernel
def step(frame, code):
    """Apply the table of 256 values of each block of channels."""
    blocks, table = max(word(code, AT.blocks), 1), word(code, AT.table + ADDRESS)
    if word(code, AT.out + ITEM) == 2:
        values = array(table, (np.int64(256) * blocks,), np.int16)
        _apply(matrix(frame, code, AT.x, np.int8), values, matrix(frame, code, AT.out, np.int16))
    elif VECTORS:
        _permute(frame, code, table, blocks)
    else:
        values = array(table, (np.int64(256) * blocks,), np.int8)
        _apply(matrix(frame, code, AT.x, np.int8), values, matrix(frame, code, AT.out, np.int8))


@kernel
def _apply(x, table, out):
    """One entry after another."""
    blocks = len(table) // 256
    each = x.shape[1] // blocks
    for r in range(x.shape[0]):
        row, target = x[r], out[r]
        for b in range(blocks):
            middle = np.int64(256 * b + 128)
            for i in range(b * each, (b + 1) * each):
                target[i] = table[np.int64(row[i]) + middle]


@kernel
def _permute(frame, code, table, blocks):
    """Vectors of entries, one block after another, because its table stays in registers."""
    x, out = address_of(frame, code, AT.x), address_of(frame, code, AT.out)
    rows, width = rows_of(frame, code, AT.x), word(code, AT.x + WIDTH)
    each = width // blocks
    for b in range(blocks):
        first = b * each
        read_table(table + 256 * b, x + first, out + first, rows, each, width)
