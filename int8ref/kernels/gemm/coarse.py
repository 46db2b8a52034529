"""The largest output of each row, exactly, with the outputs of a few columns alone.

For every block of columns the coarse sums say how large its outputs can be at most (see
`coarse_layout`).  Then each row by itself: the outputs of its most promising block give a value
that the largest one has at least, and all blocks that can reach it are computed, in their order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from int8ref.kernels.gemm import epilogue
from int8ref.kernels.gemm.chosen import column_dots
from int8ref.kernels.gemm.coarse_layout import (
    ALIGNMENT,
    BLOCK,
    COARSE_ROWS,
)
from int8ref.kernels.gemm.coarse_tile import coarse_maxima, next_block, sum_of_squares
from int8ref.kernels.gemm.driver import raised_row_pitch, row_pitch
from int8ref.kernels.gemm.heights import split_rows
from int8ref.kernels.gemm.operands import prepare, raise_rows
from int8ref.kernels.ir.arithmetic import isqrt
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address, int32_at

LOWEST = -(2**31)


@kernel
def coarse_argmax(
    x: int,
    rows: int,
    depth: int,
    coarse: int,
    coarse_start: int,
    length: int,
    weight: int,
    start: int,
    columns: int,
    index: int,
    value: int,
    workspace: int,
) -> None:
    """`gemm_coarse_argmax` over addresses."""
    blocks = (columns + BLOCK - 1) // BLOCK
    pitch = raised_row_pitch(depth)
    groups = pitch - 64
    raised = (workspace + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    maxima = raised + COARSE_ROWS * pitch
    row_room = maxima + COARSE_ROWS * blocks * 4
    sums = row_room + row_pitch(depth)
    first = 0
    while first < rows:
        size = min(COARSE_ROWS, rows - first)
        tiles, height, taller = split_rows(size)
        raise_rows(x + first * depth, size, depth, raised, pitch)
        for block in range(blocks):
            row = 0
            for t in range(tiles):
                count = height + 1 if t < taller else height
                coarse_maxima(
                    count,
                    raised + row * pitch,
                    pitch,
                    coarse + block * BLOCK * groups,
                    groups,
                    coarse_start + block * BLOCK * 4,
                    maxima + (row * blocks + block) * 4,
                    blocks * 4,
                )
                row += count
        for row in range(size):
            at = x + (first + row) * depth
            slack = (isqrt(sum_of_squares(at, depth)) + 1) * length
            prepare(at, 1, depth, row_room, 0)
            here, best = index + (first + row) * 4, value + (first + row) * 4
            known = maxima + row * blocks * 4
            least = LOWEST
            block = next_block(known, 0, blocks, epilogue.largest(known, blocks))
            seeking = True
            epilogue.argmax_start(1, here, best)
            while block < blocks:
                column = block * BLOCK
                width = min(BLOCK, columns - column)
                column_dots(row_room, weight, depth, start, column, width, sums)
                epilogue.argmax(sums, 1, width, column, here, best)
                least = max(least, int32_at(best, 0))
                following = block + 1
                if seeking:  # of equal outputs the first counts, so all starts again
                    epilogue.argmax_start(1, here, best)
                    following, seeking = 0, False
                block = next_block(known, following, blocks, least - slack)
        first += size


@kernel
def gemm_coarse_argmax(
    x: NDArray[np.int8],
    coarse: NDArray[np.int8],
    coarse_start: NDArray[np.int32],
    length: int,
    weight: NDArray[np.int8],
    start: NDArray[np.int32],
    out_index: NDArray[np.int32],
    out_value: NDArray[np.int32],
    workspace: NDArray[np.uint8],
) -> None:
    """out_index[m] = the lowest n with the largest acc[m, n], out_value[m] = that acc: what
    `gemm_argmax` gives, if no acc wraps.

    coarse, coarse_start, length: of `coarse_layout.pack_coarse`; weight int8 [N, K], not packed;
    start int32 [N] or more (`layout.start_values`); workspace of
    `coarse_layout.coarse_workspace` bytes or more.
    """
    coarse_argmax(
        address(x, np.int8),
        x.shape[0],
        x.shape[1],
        address(coarse, np.int8),
        address(coarse_start, np.int32),
        length,
        address(weight, np.int8),
        address(start, np.int32),
        weight.shape[0],
        address(out_index, np.int32),
        address(out_value, np.int32),
        address(workspace, np.uint8),
    )
