"""C = X . W^T + bias on int8, in blocks, with a fused epilogue.

The sums are exact:

    acc[m, n] = bias[n] + sum_k x[m, k] * weight[n, k]   (mod 2^32)

They do not depend on the CPU, on the number of rows, or on the place of a row.  If no sum wraps,
acc is the true sum.  K * 2^14 + |bias| < 2^31 suffices: K <= 131071 without a bias, K <= 65536 with
|bias| < 2^30.

Nothing is checked here; the caller guarantees addresses, types and shapes.  Nothing here raises,
allocates or counts references, so that the code runs without Numba.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from int8ref.kernels.gemm import epilogue, scratch
from int8ref.kernels.gemm.heights import split_rows
from int8ref.kernels.gemm.layout import DEPTH, GROUP, PANEL
from int8ref.kernels.gemm.matrices import (
    GROUPS,
    MATRICES,
    begin_matrices,
    end_matrices,
    multiply_matrices,
)
from int8ref.kernels.gemm.operands import prepare, raise_rows
from int8ref.kernels.gemm.quads import raised_pitch
from int8ref.kernels.gemm.scratch import ALIGNMENT, START_BYTES, TILE_BYTES
from int8ref.kernels.gemm.starts import widen
from int8ref.kernels.gemm.target import MATRIX_ROWS
from int8ref.kernels.gemm.tile import multiply, multiply_quads
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import int8_at

COPY, REQUANTIZE, SHIFT, ARGMAX = range(4)
"""Kinds of epilogues."""

row_pitch, raised_row_pitch = kernel(scratch.row_pitch), kernel(raised_pitch)
block_rows = kernel(scratch.block_rows)


class Product(NamedTuple):
    """The operands of the product.

    quads        1 if `pair_sums.fits` holds for the weight, and `start` is for a left operand that
                 is raised by `pair_sums.OFFSET`; else 0
    x            address of int8 [rows, depth], all 256 values
    packed       address of int8 [N64/S, depth8/4, S, 4]: `layout.pack(weight)`
    start        address of int32 [ceil(N/64) * 64], `layout.start_values(weight, bias)`; for
                 start_shift >= 0 of int16: `layout.narrow(start, start_shift)`
    start_shift  unit of the start values, or `layout.WIDE`
    columns      N
    begin, end   the columns that are computed: begin is a multiple of 64, and end too or N
    """

    quads: Any
    x: Any
    rows: Any
    depth: Any
    packed: Any
    start: Any
    start_shift: Any
    columns: Any
    begin: Any
    end: Any


class Epilogue(NamedTuple):
    """The conversion of the sums.  Fields that a kind does not use may be 0.

        COPY        out int32 [M, N] = acc
        REQUANTIZE  out int8 [M, N] = clamp((acc * multiplier[n] + 2^(s-1)) >> s, low, high),
                    rounded once, half up, as in unbounded integers;
                    multiplier: address of int16 [N] in [0, 2^15);
                    shift: address of s, int8 in [16, 46]
        SHIFT       out int8 [M, N] = clamp((acc + 2^(s[n]-1)) >> s[n], low, high),
                    in int32, rounded half up;
                    shift: address of s, int8 [N] in [1, 30], with |acc| + 2^(s[n]-1) < 2^31
        ARGMAX      out int32 [M] = the lowest n with the largest acc;
                    value: address of int32 [M], receives this acc

    -128 <= low <= high <= 127; low = 0 is a fused ReLU.
    """

    kind: Any
    multiplier: Any
    shift: Any
    low: Any
    high: Any
    out: Any
    value: Any


@kernel
def gemm(product, done, workspace):
    """Compute the product, and apply the epilogue `done` to it.

    `workspace`: address of `scratch.workspace_bytes` bytes; each thread has its own.
    """
    x, rows, depth, columns = product.x, product.rows, product.depth, product.columns
    pitch = raised_row_pitch(depth) if product.quads else row_pitch(depth)
    block = block_rows(rows, pitch)
    groups = (depth + DEPTH - 1) // DEPTH * (DEPTH // GROUP)
    tile = (workspace + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    wide_start = tile + TILE_BYTES
    prepared = wide_start + 2 * START_BYTES
    bits = int8_at(done.shift) if done.kind == REQUANTIZE else 0
    if done.kind == ARGMAX:
        epilogue.argmax_start(rows, done.out, done.value)
    in_matrices = MATRICES and rows >= MATRIX_ROWS and groups % GROUPS == 0
    if in_matrices:
        begin_matrices(tile)
    first = 0
    while first < rows:  # because a range with a variable step adds an exception to the code
        size = min(block, rows - first)
        whole = size // MATRIX_ROWS * MATRIX_ROWS if in_matrices else 0
        tiles, height, taller = split_rows(size - whole)
        if product.quads:
            raise_rows(x + first * depth, size, depth, prepared, pitch)
        else:
            prepare(x + first * depth, size, depth, prepared, pitch)
        if product.start_shift >= 0:
            room = wide_start + product.begin // PANEL % 2 * START_BYTES
            widen(product.start + product.begin * 2, product.start_shift, room)
        for column in range(product.begin, product.end, PANEL):
            width = min(PANEL, columns - column)
            panel = product.packed + column * groups * GROUP
            starts = _starts(product, column, wide_start)
            row = first
            while row < first + whole:
                count = min(2 * MATRIX_ROWS, first + whole - row)
                left = prepared + (row - first) * pitch
                multiply_matrices(count, left, pitch, panel, groups, starts, tile, PANEL * 4)
                _finish(done, tile, (row, count), (column, width, columns), bits)
                row += count
            for t in range(tiles):
                count = height + 1 if t < taller else height
                # Whole panels of int32 are computed in their final place.
                in_place = done.kind == COPY and width == PANEL
                c = done.out + (row * columns + column) * 4 if in_place else tile
                c_pitch = columns * 4 if in_place else PANEL * 4
                left = prepared + (row - first) * pitch
                if product.quads:
                    multiply_quads(count, left, pitch, panel, groups, starts, c, c_pitch)
                else:
                    multiply(count, left, pitch, panel, groups, starts, c, c_pitch)
                if not in_place:
                    _finish(done, tile, (row, count), (column, width, columns), bits)
                row += count
        first += size
    if in_matrices:
        end_matrices(tile)


@kernel
def _starts(product, column, wide_start):
    """Address of the start values of a panel, as int32."""
    if product.start_shift < 0:
        return product.start + column * 4
    panel = column // PANEL  # widen the next panel's values now, so that no panel waits for them
    following = min(column + PANEL, (product.columns - 1) // PANEL * PANEL)
    room = wide_start + (panel + 1) % 2 * START_BYTES
    widen(product.start + following * 2, product.start_shift, room)
    return wide_start + panel % 2 * START_BYTES


@kernel
def _finish(done, tile, place, columns_of, bits):
    """Apply the epilogue to the sums of a tile.

    `place` is (row, count): the tile has `count` rows from `row` on.  `columns_of` is (column,
    width, columns): it has `width` of all `columns` columns, from `column` on.
    """
    row, count = place
    column, width, columns = columns_of
    target, low, high = row * columns + column, done.low, done.high
    out = done.out + target
    if done.kind == REQUANTIZE:
        multiplier = done.multiplier + column * 2
        epilogue.requantize(tile, count, width, multiplier, bits, low, high, out, columns)
    elif done.kind == SHIFT:
        shift = done.shift + column
        epilogue.shift_only(tile, count, width, shift, low, high, out, columns)
    elif done.kind == ARGMAX:
        best, value = done.out + row * 4, done.value + row * 4
        epilogue.argmax(tile, count, width, column, best, value)
    else:
        epilogue.copy(tile, count, width, done.out + target * 4, columns * 4)
