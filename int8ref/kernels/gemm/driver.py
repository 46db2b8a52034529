"""The public kernels: C = X . W^T + bias on int8, in blocks, with what is done to C fused in.

All of them take

    x          int8 [M, K], C-contiguous, all 256 values
    packed     int8 [ceil(N/64), K8/4, 64, 4], `layout.pack(weight)`
    start      int32 [ceil(N/64) * 64], `layout.start_values(weight, bias)`
    workspace  uint8, at least workspace_bytes(M, K) elements; one for each thread

and work on the exact sums

    acc[m, n] = bias[n] + sum_k x[m, k] * weight[n, k]   (mod 2^32)

which do not depend on the CPU, on M, or on which row it is. Without a wrap the sum is the true one:
K * 2^14 + |bias| < 2^31 suffices, so K <= 131071 with no bias, K <= 65536 with |bias| < 2^30.

Types are checked when a call is compiled, shapes are not checked at all: the caller vouches that
M, K and N agree. Nothing here raises, allocates or counts references, so the kernels can be called
from a `@cfunc` whose object code is later run without Numba.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray

from int8ref.kernels.gemm import epilogue
from int8ref.kernels.gemm.layout import DEPTH, GROUP, PANEL
from int8ref.kernels.gemm.lowering import address
from int8ref.kernels.gemm.operands import prepare
from int8ref.kernels.gemm.target import TARGET, TILE_ROWS
from int8ref.kernels.gemm.tile import multiply

TILE_BYTES = TILE_ROWS * PANEL * 4
ALIGNMENT = 64
BLOCK_BYTES = 384 * 1024  # of prepared rows: they stay in the L2 cache while the panels go by
OPERAND_BYTES = TARGET.operand_bytes

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Scratch = NDArray[np.uint8]
compiled = njit(nogil=True, error_model="numpy", forceinline=True)
inlined = njit(nogil=True, error_model="numpy", inline="always")  # or each kernel is compiled twice


@compiled
def row_pitch(depth: int) -> int:
    """Bytes from one prepared row to the next: 64 more than it holds, so that rows of a K that is a
    power of two do not all fall into the same cache sets."""
    return (depth + DEPTH - 1) // DEPTH * DEPTH * OPERAND_BYTES + 64


@compiled
def block_rows(rows: int, depth: int) -> int:
    """Rows of x that are prepared at once."""
    return min(rows, max(TILE_ROWS, BLOCK_BYTES // row_pitch(depth) // TILE_ROWS * TILE_ROWS))


@compiled
def workspace_bytes(rows: int, depth: int) -> int:
    """Bytes of scratch for M = `rows`, K = `depth`; what serves some M serves any smaller one."""
    return ALIGNMENT + TILE_BYTES + block_rows(rows, depth) * row_pitch(depth)


@inlined
def _each_tile(
    x: Int8,
    packed: Int8,
    start: Int32,
    workspace: Scratch,
    columns: int,
    in_place: int,
    finish: Callable[..., None],
    parameters: tuple[int, ...],
) -> None:
    """Computes acc by tiles and gives each to finish(tile, row, count, column, width, parameters):
    int32 [count, 64] at `tile`, the rows from `row` on and the `width` columns from `column` on.

    `in_place` is 0, or where int32 [M, columns] begins: tiles with all of 64 columns are then
    computed where they belong and not given to `finish`.
    """
    rows, depth = x.shape
    groups = packed.shape[1]
    pitch = row_pitch(depth)
    block = block_rows(rows, depth)
    tile = (address(workspace, np.uint8) + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    prepared = tile + TILE_BYTES
    first = 0
    while first < rows:  # a range with a step that is no constant would bring an exception in
        size = min(block, rows - first)
        tiles = (size + TILE_ROWS - 1) // TILE_ROWS  # of heights that differ by one at most
        height, taller = size // tiles, size % tiles
        prepare(address(x, np.int8) + first * depth, size, depth, prepared, pitch)
        for column in range(0, columns, PANEL):
            width = min(PANEL, columns - column)
            panel = address(packed, np.int8) + column * groups * GROUP
            starts = address(start, np.int32) + column * 4
            row = 0
            for t in range(tiles):
                count = height + 1 if t < taller else height
                left = prepared + row * pitch
                if in_place != 0 and width == PANEL:
                    out = in_place + ((first + row) * columns + column) * 4
                    multiply(count, left, pitch, panel, groups, starts, out, columns * 4)
                else:
                    multiply(count, left, pitch, panel, groups, starts, tile, PANEL * 4)
                    finish(tile, first + row, count, column, width, parameters)
                row += count
        first += size


@compiled
def _finish_copy(
    tile: int, row: int, count: int, column: int, width: int, parameters: tuple[int, ...]
) -> None:
    out, columns = parameters
    epilogue.copy(tile, count, width, out + (row * columns + column) * 4, columns * 4)


@compiled
def _finish_requantize(
    tile: int, row: int, count: int, column: int, width: int, parameters: tuple[int, ...]
) -> None:
    multiplier, shift, low, high, out, columns = parameters
    epilogue.requantize(
        tile,
        count,
        width,
        multiplier + column * 4,
        shift + column * 4,
        low,
        high,
        out + row * columns + column,
        columns,
    )


@compiled
def _finish_shift(
    tile: int, row: int, count: int, column: int, width: int, parameters: tuple[int, ...]
) -> None:
    shift, low, high, out, columns = parameters
    out += row * columns + column
    epilogue.shift_only(tile, count, width, shift + column * 4, low, high, out, columns)


@compiled
def _finish_argmax(
    tile: int, row: int, count: int, column: int, width: int, parameters: tuple[int, ...]
) -> None:
    index, value = parameters
    epilogue.argmax(tile, count, width, column, index + row * 4, value + row * 4)


@compiled
def gemm_i32(x: Int8, packed: Int8, start: Int32, out: Int32, workspace: Scratch) -> None:
    """out[m, n] = acc[m, n], int32 [M, N]."""
    columns = out.shape[1]
    at = address(out, np.int32)
    _each_tile(x, packed, start, workspace, columns, at, _finish_copy, (at, columns))


@compiled
def gemm_requantize(
    x: Int8,
    packed: Int8,
    start: Int32,
    multiplier: Int32,
    shift: Int32,
    low: int,
    high: int,
    out: Int8,
    workspace: Scratch,
) -> None:
    """out[m, n] = clamp((acc[m, n] * multiplier[n] + 2^(shift[n]-1)) >> shift[n], low, high).

    out int8 [M, N]. Rounds half up, once, as if in unbounded integers. multiplier int32 [N] in
    [0, 2^31), shift int32 [N] in [32, 62]; -128 <= low <= high <= 127, and low = 0 is a fused ReLU.
    """
    columns = out.shape[1]
    parameters = (
        address(multiplier, np.int32),
        address(shift, np.int32),
        low,
        high,
        address(out, np.int8),
        columns,
    )
    _each_tile(x, packed, start, workspace, columns, 0, _finish_requantize, parameters)


@compiled
def gemm_shift(
    x: Int8,
    packed: Int8,
    start: Int32,
    shift: Int32,
    low: int,
    high: int,
    out: Int8,
    workspace: Scratch,
) -> None:
    """out[m, n] = clamp((acc[m, n] + 2^(shift[n]-1)) >> shift[n], low, high), out int8 [M, N].

    The cheap re-scaling by a power of two, in int32 throughout; rounds half up. shift int32 [N] in
    [1, 30]; -128 <= low <= high <= 127. The caller proves |acc[m, n]| + 2^(shift[n]-1) < 2^31;
    beyond that the sum wraps.
    """
    columns = out.shape[1]
    parameters = (address(shift, np.int32), low, high, address(out, np.int8), columns)
    _each_tile(x, packed, start, workspace, columns, 0, _finish_shift, parameters)


@compiled
def gemm_argmax(
    x: Int8,
    packed: Int8,
    start: Int32,
    columns: int,
    out_index: Int32,
    out_value: Int32,
    workspace: Scratch,
) -> None:
    """out_index[m] = the lowest n < columns with the largest acc[m, n], out_value[m] = that acc.

    Both int32 [M]; 1 <= columns <= N. No row of acc is ever stored.
    """
    index, value = address(out_index, np.int32), address(out_value, np.int32)
    epilogue.argmax_start(x.shape[0], index, value)
    _each_tile(x, packed, start, workspace, columns, 0, _finish_argmax, (index, value))
