"""The exact largest output of each row, without most of the outputs.

The coarse sums give an upper bound of all outputs of a block of columns (`coarse_layout`).  Then
each row is searched alone:

1. Compute the outputs of the block with the largest bound.  The best of these outputs is a lower
   bound of the largest output of the row.
2. Walk over all blocks in order, and skip a block only if its upper bound is below the best exact
   output so far.  Therefore the result is exact.

The walk begins at the first block again, because the lowest index wins between equal outputs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from int8ref.kernels.gemm import epilogue
from int8ref.kernels.gemm.chosen import column_dots
from int8ref.kernels.gemm.coarse_layout import ALIGNMENT, BLOCK, COARSE_ROWS
from int8ref.kernels.gemm.coarse_tile import coarse_maxima, next_block, sum_of_squares
from int8ref.kernels.gemm.driver import raised_row_pitch, row_pitch
from int8ref.kernels.gemm.heights import split_rows
from int8ref.kernels.gemm.operands import prepare, raise_rows
from int8ref.kernels.ir.arithmetic import isqrt
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import int32_at

LOWEST = -(2**31)


class CoarseProduct(NamedTuple):
    """The operands of the product.

    x             address of int8 [rows, depth]
    coarse        address of `Coarse.weight` (`coarse_layout.pack_coarse`)
    coarse_start  address of `Coarse.start`
    length        `Coarse.length`
    weight        address of int8 [columns, depth], not packed
    start         address of int32 [columns] (`layout.start_values`)
    """

    x: Any
    rows: Any
    depth: Any
    coarse: Any
    coarse_start: Any
    length: Any
    weight: Any
    start: Any
    columns: Any


@kernel
def coarse_argmax(product, index, value, workspace):
    """index[m] = the lowest n with the largest acc[m, n], and value[m] = this acc, if no acc wraps.

    `index`, `value`: addresses of int32 [rows]; `workspace`: address of
    `coarse_layout.coarse_workspace` bytes.
    """
    rows, depth = product.rows, product.depth
    blocks = (product.columns + BLOCK - 1) // BLOCK
    raised = (workspace + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    maxima = raised + COARSE_ROWS * raised_row_pitch(depth)
    room = maxima + COARSE_ROWS * blocks * 4
    first = 0
    while first < rows:
        size = min(COARSE_ROWS, rows - first)
        _bound_blocks(product, first, size, raised, maxima)
        for row in range(size):
            at = first + row
            known = maxima + row * blocks * 4
            _search_row(product, at, known, room, (index + at * 4, value + at * 4))
        first += size


@kernel
def _bound_blocks(product, first, size, raised, maxima):
    """Compute the largest coarse sum of every block, for `size` rows from row `first` on."""
    depth = product.depth
    blocks = (product.columns + BLOCK - 1) // BLOCK
    pitch = raised_row_pitch(depth)
    groups = pitch - 64
    tiles, height, taller = split_rows(size)
    raise_rows(product.x + first * depth, size, depth, raised, pitch)
    for block in range(blocks):
        row = 0
        for t in range(tiles):
            count = height + 1 if t < taller else height
            coarse_maxima(
                count,
                raised + row * pitch,
                pitch,
                product.coarse + block * BLOCK * groups,
                groups,
                product.coarse_start + block * BLOCK * 4,
                maxima + (row * blocks + block) * 4,
                blocks * 4,
            )
            row += count


@kernel
def _search_row(product, row, known, room, found):
    """Find the largest output of one row.

    `known`: the coarse maxima of its blocks; `room`: scratch for the row and for the outputs of a
    block; `found`: addresses of the index and of the output.
    """
    depth, columns = product.depth, product.columns
    index, value = found
    blocks = (columns + BLOCK - 1) // BLOCK
    at = product.x + row * depth
    slack = (isqrt(sum_of_squares(at, depth)) + 1) * product.length
    prepare(at, 1, depth, room, 0)
    sums = room + row_pitch(depth)
    least = LOWEST
    block = next_block(known, 0, blocks, epilogue.largest(known, blocks))
    promising = True
    epilogue.argmax_start(1, index, value)
    while block < blocks:
        column = block * BLOCK
        width = min(BLOCK, columns - column)
        column_dots(room, product.weight, depth, product.start, column, width, sums)
        epilogue.argmax(sums, 1, width, column, index, value)
        least = max(least, int32_at(value, 0))
        following = block + 1
        if promising:  # the block with the largest bound is done: begin the walk over all blocks
            epilogue.argmax_start(1, index, value)
            following, promising = 0, False
        block = next_block(known, following, blocks, least - slack)
