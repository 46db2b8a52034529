"""Epilogues of a tile of sums, while it is in the L1 cache.

A tile is int32 [rows, 64], of which the first `width` columns count.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.kernels.gemm.layout import PANEL
from int8ref.kernels.ir.lowering import I8, I16, I32, I64, lowers, view
from int8ref.kernels.ir.vector import (
    by_parity,
    constant,
    greatest_lane,
    load,
    loop,
    maximum,
    minimum,
    offset,
    pieces,
    splat,
    store,
    upper_halves,
    vector,
)

LANES = 16  # columns of a vector
LOWEST = -(2**31)
ROW = PANEL * 4  # bytes in a row of a tile


def copy(tile: int, rows: int, width: int, out: int, pitch: int) -> None:
    """out[i, n] = tile[i, n]; `pitch` is the distance of the rows of `out` in bytes."""
    for i in range(rows):
        view(out + i * pitch, np.int32, (width,))[:] = view(tile + i * ROW, np.int32, (width,))


@lowers(copy)
def _copy_ir(
    builder: ir.IRBuilder,
    tile: ir.Value,
    rows: ir.Value,
    width: ir.Value,
    out: ir.Value,
    pitch: ir.Value,
) -> None:
    for lanes, start, stop in pieces(builder, width, LANES):
        with loop(builder, start, stop, lanes) as n, loop(builder, 0, rows) as i:
            value = load(builder, _element(builder, tile, i, n), vector(I32, lanes))
            row = offset(builder, out, builder.mul(i, pitch))
            store(builder, value, offset(builder, row, n, 4))


def requantize(
    tile: int,
    rows: int,
    width: int,
    multiplier: int,
    shift: int,
    low: int,
    high: int,
    out: int,
    pitch: int,
) -> None:
    """int8 out[i, n] = clamp((tile[i, n] * multiplier[n] + 2^(shift-1)) >> shift, low, high).

    `multiplier`: int16 [width], not negative; 16 <= shift <= 46.
    """
    scale = view(multiplier, np.int16, (width,)).astype(np.int64)
    half = np.int64(1) << np.int64(shift - 1)
    for i in range(rows):
        product = view(tile + i * ROW, np.int32, (width,)).astype(np.int64) * scale
        rounded = (product + half) >> np.int64(shift)
        view(out + i * pitch, np.int8, (width,))[:] = np.clip(rounded, low, high).astype(np.int8)


@lowers(requantize)
def _requantize_ir(
    builder: ir.IRBuilder,
    tile: ir.Value,
    rows: ir.Value,
    width: ir.Value,
    multiplier: ir.Value,
    shift: ir.Value,
    low: ir.Value,
    high: ir.Value,
    out: ir.Value,
    pitch: ir.Value,
) -> None:
    # The multiplier is multiplied by 2^16, so that the shift is at least 32.  Then the upper half
    # of product + rounding constant (at most 2^62 and 2^61) suffices.  The rest of the shift is a
    # 32-bit shift, because AVX2 has no arithmetic 64-bit shift.
    rest = builder.trunc(builder.sub(shift, I64(16)), I32)
    half = builder.shl(I64(1), builder.add(shift, I64(15)))
    for lanes, start, stop in pieces(builder, width, LANES):
        with loop(builder, start, stop, lanes) as n:
            scale = load(builder, offset(builder, multiplier, n, 2), vector(I16, lanes))
            scale = builder.zext(scale, vector(I32, lanes))
            scale = builder.shl(scale, constant(scale.type, 16))
            scales = by_parity(builder, scale)
            halves = splat(builder, half, max(lanes // 2, 1))
            with loop(builder, 0, rows) as i:
                value = load(builder, _element(builder, tile, i, n), vector(I32, lanes))
                sums = [
                    builder.add(builder.mul(part, factor), halves)
                    for part, factor in zip(by_parity(builder, value), scales, strict=True)
                ]
                value = builder.ashr(upper_halves(builder, sums), splat(builder, rest, lanes))
                row = offset(builder, out, builder.mul(i, pitch))
                store(builder, _narrow(builder, value, low, high), offset(builder, row, n))


def shift_only(
    tile: int, rows: int, width: int, shift: int, low: int, high: int, out: int, pitch: int
) -> None:
    """int8 out[i, n] = clamp((tile[i, n] + 2^(shift[n]-1)) >> shift[n], low, high), in int32.

    `shift`: int8 [width].  |tile[i, n]| + 2^(shift[n]-1) < 2^31 must hold; beyond it the sum wraps.
    """
    bits = view(shift, np.int8, (width,)).astype(np.int32)
    for i in range(rows):
        value = view(tile + i * ROW, np.int32, (width,))
        rounded = (value + (np.int32(1) << (bits - np.int32(1)))) >> bits
        view(out + i * pitch, np.int8, (width,))[:] = np.clip(rounded, low, high).astype(np.int8)


@lowers(shift_only)
def _shift_only_ir(
    builder: ir.IRBuilder,
    tile: ir.Value,
    rows: ir.Value,
    width: ir.Value,
    shift: ir.Value,
    low: ir.Value,
    high: ir.Value,
    out: ir.Value,
    pitch: ir.Value,
) -> None:
    for lanes, start, stop in pieces(builder, width, LANES):
        with loop(builder, start, stop, lanes) as n:
            bits = load(builder, offset(builder, shift, n), vector(I8, lanes))
            bits = builder.zext(bits, vector(I32, lanes))
            one = constant(bits.type, 1)
            rounding = builder.shl(one, builder.sub(bits, one))
            with loop(builder, 0, rows) as i:
                value = load(builder, _element(builder, tile, i, n), vector(I32, lanes))
                value = builder.ashr(builder.add(value, rounding), bits)
                row = offset(builder, out, builder.mul(i, pitch))
                store(builder, _narrow(builder, value, low, high), offset(builder, row, n))


def argmax_start(rows: int, index: int, value: int) -> None:
    """index[i] = 0 and value[i] = -2^31, in int32: the start of a running argmax."""
    view(index, np.int32, (rows,))[:] = 0
    view(value, np.int32, (rows,))[:] = LOWEST


@lowers(argmax_start)
def _argmax_start_ir(
    builder: ir.IRBuilder, rows: ir.Value, index: ir.Value, value: ir.Value
) -> None:
    with loop(builder, 0, rows) as i:
        store(builder, constant(I32, 0), offset(builder, index, i, 4))
        store(builder, constant(I32, LOWEST), offset(builder, value, i, 4))


def argmax(tile: int, rows: int, width: int, column: int, index: int, value: int) -> None:
    """Update each row's running argmax, int32 index[i] and value[i], with this tile.

    `column` is the number of the tile's first column.  A tie keeps the earlier index, which is
    lower.
    """
    for i in range(rows):
        row = view(tile + i * ROW, np.int32, (width,))
        at, best = view(index + i * 4, np.int32, (1,)), view(value + i * 4, np.int32, (1,))
        if row.max() > best[0]:
            at[0], best[0] = column + row.argmax(), row.max()


@lowers(argmax)
def _argmax_ir(
    builder: ir.IRBuilder,
    tile: ir.Value,
    rows: ir.Value,
    width: ir.Value,
    column: ir.Value,
    index: ir.Value,
    value: ir.Value,
) -> None:
    with loop(builder, 0, rows) as i:
        row = _element(builder, tile, i, ir.Constant(I64, 0))
        best = offset(builder, value, i, 4)
        top = builder.trunc(_largest(builder, row, width), I32)
        better = builder.icmp_signed(">", top, load(builder, best, I32))
        with builder.if_then(better, likely=False):
            store(builder, top, best)
            # Go from the last column to the first, so that the lowest index is written last.
            with loop(builder, 0, width) as back:
                n = builder.sub(builder.sub(width, ir.Constant(I64, 1)), back)
                value_n = load(builder, _element(builder, tile, i, n), I32)
                same = builder.icmp_signed("==", value_n, top)
                with builder.if_then(same):
                    found = builder.trunc(builder.add(column, n), I32)
                    store(builder, found, offset(builder, index, i, 4))


def largest(row: int, width: int) -> int:
    """The largest of `width` int32 at address `row`."""
    return int(view(row, np.int32, (width,)).max())


@lowers(largest)
def _largest(builder: ir.IRBuilder, row: ir.Value, width: ir.Value) -> ir.Value:
    whole = builder.and_(width, ir.Constant(I64, -LANES))
    with builder.goto_entry_block():
        many, one = builder.alloca(vector(I32, LANES)), builder.alloca(I32)
    builder.store(constant(vector(I32, LANES), LOWEST), many)
    with loop(builder, 0, whole, LANES) as n:
        piece = load(builder, offset(builder, row, n, 4), vector(I32, LANES))
        builder.store(maximum(builder, builder.load(many), piece), many)
    builder.store(greatest_lane(builder, builder.load(many)), one)
    with loop(builder, whole, width) as n:
        element = load(builder, offset(builder, row, n, 4), I32)
        builder.store(maximum(builder, builder.load(one), element), one)
    return builder.sext(builder.load(one), I64)


def _element(builder: ir.IRBuilder, tile: ir.Value, i: ir.Value, n: ir.Value) -> ir.Value:
    return offset(builder, offset(builder, tile, i, ROW), n, 4)


def _narrow(builder: ir.IRBuilder, value: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
    """int32 -> int8 in [low, high].

    The first saturation, to int8, is one instruction.  The clamp after it then processes four times
    as many lanes at once.
    """
    lanes = value.type.count if isinstance(value.type, ir.VectorType) else 1
    value = maximum(builder, value, constant(value.type, -128))
    value = minimum(builder, value, constant(value.type, 127))
    value = builder.trunc(value, vector(I8, lanes))
    low, high = (splat(builder, builder.trunc(bound, I8), lanes) for bound in (low, high))
    return minimum(builder, maximum(builder, value, low), high)
