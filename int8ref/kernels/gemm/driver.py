"""The public kernels: C = X . W^T + bias on int8, in blocks, with what is done to C fused in.

All of them take

    x          int8 [M, K], C-contiguous, all 256 values
    packed     int8 [N64/S, K8/4, S, 4], `layout.pack(weight)`
    start      int32 [ceil(N/64) * 64], `layout.start_values(weight, bias)`, or, with start_shift
               not negative, int16 of the same shape: `layout.narrow(start, start_shift)`
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

import numpy as np
from numpy.typing import NDArray

from int8ref.kernels.gemm import epilogue
from int8ref.kernels.gemm.heights import split_rows
from int8ref.kernels.gemm.layout import DEPTH, GROUP, PANEL, WIDE
from int8ref.kernels.gemm.operands import prepare, raise_rows
from int8ref.kernels.gemm.quads import raised_pitch
from int8ref.kernels.gemm.starts import widen
from int8ref.kernels.gemm.target import TARGET, TILE_ROWS
from int8ref.kernels.gemm.tile import multiply, multiply_quads
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address, int8_at

TILE_BYTES = TILE_ROWS * PANEL * 4
START_BYTES = PANEL * 4  # of a panel; there is room for two
ALIGNMENT = 64
BLOCK_BYTES = 384 * 1024  # of prepared rows: they stay in the L2 cache while the panels go by
OPERAND_BYTES = TARGET.operand_bytes

COPY, REQUANTIZE, SHIFT, ARGMAX = range(4)
"""What is done to the sums."""

Int8 = NDArray[np.int8]
Int16 = NDArray[np.int16]
Int32 = NDArray[np.int32]
Scratch = NDArray[np.uint8]


raised_row_pitch = kernel(raised_pitch)


@kernel
def row_pitch(depth: int) -> int:
    """Bytes from one prepared row to the next: 64 more than it holds, so that rows of a K that is a
    power of two do not all fall into the same cache sets."""
    return (depth + DEPTH - 1) // DEPTH * DEPTH * OPERAND_BYTES + 64


@kernel
def block_rows(rows: int, pitch: int) -> int:
    """Rows of x that are prepared at once."""
    return min(rows, max(TILE_ROWS, BLOCK_BYTES // pitch // TILE_ROWS * TILE_ROWS))


@kernel
def workspace_bytes(rows: int, depth: int) -> int:
    """Bytes of scratch for M = `rows`, K = `depth`; what serves some M serves any smaller one."""
    wide, narrow = row_pitch(depth), raised_row_pitch(depth)
    room: int = max(block_rows(rows, wide) * wide, block_rows(rows, narrow) * narrow)
    return ALIGNMENT + TILE_BYTES + 2 * START_BYTES + room


@kernel
def gemm(
    kind: int,
    quads: int,
    x: int,
    rows: int,
    depth: int,
    packed: int,
    start: int,
    start_shift: int,
    columns: int,
    multiplier: int,
    shift: int,
    low: int,
    high: int,
    out: int,
    value: int,
    workspace: int,
) -> None:
    """All of the kernels below, over addresses: one function, as each costs seconds to compile.

    `kind` says what is done to a tile of sums; `out` is where the result goes, or the indices of
    argmax, whose maxima go to `value`.  The operands that a kind has no use for may be 0.
    `start_shift` is WIDE or not negative.  With `quads` the weight is one that `quads.fits`, and
    `start` is for a left operand raised by `quads.OFFSET`.
    """
    pitch = raised_row_pitch(depth) if quads else row_pitch(depth)
    block = block_rows(rows, pitch)
    groups = (depth + DEPTH - 1) // DEPTH * (DEPTH // GROUP)
    tile = (workspace + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    wide_start = tile + TILE_BYTES
    prepared = wide_start + 2 * START_BYTES
    bits = int8_at(shift) if kind == REQUANTIZE else 0
    if kind == ARGMAX:
        epilogue.argmax_start(rows, out, value)
    first = 0
    while first < rows:  # a range with a step that is no constant would bring an exception in
        size = min(block, rows - first)
        tiles, height, taller = split_rows(size)
        if quads:
            raise_rows(x + first * depth, size, depth, prepared, pitch)
        else:
            prepare(x + first * depth, size, depth, prepared, pitch)
        if start_shift >= 0:
            widen(start, start_shift, wide_start)
        for column in range(0, columns, PANEL):
            width = min(PANEL, columns - column)
            panel = packed + column * groups * GROUP
            starts = start + column * 4
            if start_shift >= 0:  # those of the next panel, so that none waits for its own
                starts = wide_start + column // PANEL % 2 * START_BYTES
                following = min(column + PANEL, (columns - 1) // PANEL * PANEL)
                widen(
                    start + following * 2,
                    start_shift,
                    wide_start + (column // PANEL + 1) % 2 * START_BYTES,
                )
            row = first
            for t in range(tiles):
                count = height + 1 if t < taller else height
                target = row * columns + column
                # Whole panels of int32 are computed where they belong.
                in_place = kind == COPY and width == PANEL
                c = out + target * 4 if in_place else tile
                c_pitch = columns * 4 if in_place else PANEL * 4
                left = prepared + (row - first) * pitch
                if quads:
                    multiply_quads(count, left, pitch, panel, groups, starts, c, c_pitch)
                else:
                    multiply(count, left, pitch, panel, groups, starts, c, c_pitch)
                if kind == REQUANTIZE:
                    epilogue.requantize(
                        tile,
                        count,
                        width,
                        multiplier + column * 2,
                        bits,
                        low,
                        high,
                        out + target,
                        columns,
                    )
                elif kind == SHIFT:
                    epilogue.shift_only(
                        tile, count, width, shift + column, low, high, out + target, columns
                    )
                elif kind == ARGMAX:
                    epilogue.argmax(tile, count, width, column, out + row * 4, value + row * 4)
                elif not in_place:
                    epilogue.copy(tile, count, width, out + target * 4, columns * 4)
                row += count
        first += size


@kernel
def gemm_i32(x: Int8, packed: Int8, start: Int32, out: Int32, workspace: Scratch) -> None:
    """out[m, n] = acc[m, n], int32 [M, N]."""
    _sums(0, x, packed, address(start, np.int32), WIDE, out, workspace)


@kernel
def gemm_i32_narrow(
    x: Int8, packed: Int8, start: Int16, start_shift: int, out: Int32, workspace: Scratch
) -> None:
    """`gemm_i32` with start values in 16 bits, in units of 2^start_shift."""
    _sums(0, x, packed, address(start, np.int16), start_shift, out, workspace)


@kernel
def gemm_quads(x: Int8, packed: Int8, start: Int32, out: Int32, workspace: Scratch) -> None:
    """`gemm_i32` of a weight that `quads.fits`; start `layout.start_values(weight, bias, OFFSET)`.

    Only for a CPU that has pair products (`target.InstructionSet.pair_products`).
    """
    _sums(1, x, packed, address(start, np.int32), WIDE, out, workspace)


@kernel
def _sums(
    quads: int, x: Int8, packed: Int8, start: int, start_shift: int, out: Int32, workspace: Scratch
) -> None:
    """The sums themselves, with quads or without."""
    gemm(
        COPY,
        quads,
        address(x, np.int8),
        x.shape[0],
        x.shape[1],
        address(packed, np.int8),
        start,
        start_shift,
        out.shape[1],
        0,
        0,
        0,
        0,
        address(out, np.int32),
        0,
        address(workspace, np.uint8),
    )


@kernel
def gemm_requantize(
    x: Int8,
    packed: Int8,
    start: Int32,
    multiplier: Int16,
    shift: Int8,
    low: int,
    high: int,
    out: Int8,
    workspace: Scratch,
) -> None:
    """out[m, n] = clamp((acc[m, n] * multiplier[n] + 2^(shift-1)) >> shift, low, high).

    out int8 [M, N]. Rounds half up, once, as if in unbounded integers. multiplier int16 [N] in
    [0, 2^15), shift int8 [1] in [16, 46]; -128 <= low <= high <= 127, and low = 0 is a fused ReLU.
    """
    gemm(
        REQUANTIZE,
        0,
        address(x, np.int8),
        x.shape[0],
        x.shape[1],
        address(packed, np.int8),
        address(start, np.int32),
        WIDE,
        out.shape[1],
        address(multiplier, np.int16),
        address(shift, np.int8),
        low,
        high,
        address(out, np.int8),
        0,
        address(workspace, np.uint8),
    )


@kernel
def gemm_shift(
    x: Int8,
    packed: Int8,
    start: Int32,
    shift: Int8,
    low: int,
    high: int,
    out: Int8,
    workspace: Scratch,
) -> None:
    """out[m, n] = clamp((acc[m, n] + 2^(shift[n]-1)) >> shift[n], low, high), out int8 [M, N].

    The cheap re-scaling by a power of two, in int32 throughout; rounds half up. shift int8 [N] in
    [1, 30]; -128 <= low <= high <= 127. The caller proves |acc[m, n]| + 2^(shift[n]-1) < 2^31;
    beyond that the sum wraps.
    """
    gemm(
        SHIFT,
        0,
        address(x, np.int8),
        x.shape[0],
        x.shape[1],
        address(packed, np.int8),
        address(start, np.int32),
        WIDE,
        out.shape[1],
        0,
        address(shift, np.int8),
        low,
        high,
        address(out, np.int8),
        0,
        address(workspace, np.uint8),
    )


@kernel
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
    gemm(
        ARGMAX,
        0,
        address(x, np.int8),
        x.shape[0],
        x.shape[1],
        address(packed, np.int8),
        address(start, np.int32),
        WIDE,
        columns,
        0,
        0,
        0,
        0,
        address(out_index, np.int32),
        address(out_value, np.int32),
        address(workspace, np.uint8),
    )
