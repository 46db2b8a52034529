"""The leaves of the search for the largest output: coarse sums, and the choice of blocks."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.kernels.gemm.coarse_layout import BLOCK, REGISTERS, STEP
from int8ref.kernels.gemm.dot import QuadProducts
from int8ref.kernels.gemm.heights import call_by_height, height_function
from int8ref.kernels.gemm.layout import DEPTH, GROUP
from int8ref.kernels.gemm.target import TARGET
from int8ref.kernels.ir.lowering import I8, I32, I64, lowers, view
from int8ref.kernels.ir.vector import (
    constant,
    greatest_lane,
    load,
    loop,
    maximum,
    offset,
    prefetch,
    store,
    variable,
    vector,
)

LANES = 16  # maxima that are compared at once
AHEAD = 4096  # prefetch distance in bytes: a page, because the CPU's prefetcher stops at its end
LINE = 64


def coarse_maxima(
    rows: int, a: int, pitch: int, b: int, depth: int, start: int, out: int, out_pitch: int
) -> None:
    """int32 out[i] = max_n start[n] + STEP * sum_k a[i, k] * b[n, k] over the columns of a block.

    `a`: raised rows (`operands.raise_rows`), `pitch` bytes apart; `b`: the block's part of
    `Coarse.weight`; `depth`: K, a multiple of 8; `start`: the block's part of `Coarse.start`; the
    results lie `out_pitch` bytes apart.  1 <= rows <= 6.
    """
    columns = BLOCK // REGISTERS
    weight = view(b, np.int8, (REGISTERS, depth // GROUP, columns, GROUP)).astype(np.int64)
    weight = weight.transpose(0, 2, 1, 3).reshape(BLOCK, depth)
    for i in range(rows):
        sums = weight @ view(a + i * pitch, np.uint8, (depth,)).astype(np.int64)
        best = (view(start, np.int32, (BLOCK,)) + STEP * sums).max()
        view(out + i * out_pitch, np.int32, (1,))[0] = best


@lowers(coarse_maxima)
def _coarse_maxima_ir(builder: ir.IRBuilder, rows: ir.Value, *arguments: ir.Value) -> None:
    call_by_height(builder, _coarse_function, rows, arguments)


def _coarse_function(module: ir.Module, height: int) -> ir.Function:
    return height_function(module, "coarse", height, _coarse_tile)


def _coarse_tile(
    builder: ir.IRBuilder,
    height: int,
    a: ir.Value,
    pitch: ir.Value,
    b: ir.Value,
    depth: ir.Value,
    start: ir.Value,
    out: ir.Value,
    out_pitch: ir.Value,
) -> None:
    if not TARGET.pair_products:
        return  # never called on this CPU
    columns = TARGET.pair_columns
    step = QuadProducts(TARGET, columns)
    sums = step.sums
    rows = [offset(builder, a, pitch, m) for m in range(height)]
    best = [variable(builder, constant(sums, -(2**31))) for _ in rows]
    with loop(builder, 0, REGISTERS) as register:
        weights = offset(builder, b, builder.mul(register, depth), columns)
        totals = [variable(builder, constant(sums, 0)) for _ in rows]
        with loop(builder, 0, depth, DEPTH) as k:
            here = offset(builder, weights, k, columns)
            right = step.right(builder, here)
            for line in range(0, DEPTH * columns, LINE):
                prefetch(builder, offset(builder, here, AHEAD + line))
            for row, total in zip(rows, totals, strict=True):
                left = step.left(builder, offset(builder, row, k))
                builder.store(step.step(builder, builder.load(total), left, right), total)
        begun = load(builder, offset(builder, start, register, columns * 4), sums)
        for total, most in zip(totals, best, strict=True):
            scaled = builder.mul(builder.load(total), constant(sums, STEP))
            value = builder.add(begun, scaled)
            builder.store(maximum(builder, builder.load(most), value), most)
    for m, most in enumerate(best):
        value = greatest_lane(builder, builder.load(most))
        store(builder, value, offset(builder, out, out_pitch, m))


def next_block(maxima: int, first: int, count: int, least: int) -> int:
    """The lowest index from `first` on of an int32 that is at least `least`; `count` if there is
    none."""
    found = np.flatnonzero(view(maxima, np.int32, (count,))[first:] >= least)
    return int(first + found[0]) if len(found) else count


@lowers(next_block)
def _next_block_ir(
    builder: ir.IRBuilder, maxima: ir.Value, first: ir.Value, count: ir.Value, least: ir.Value
) -> ir.Value:
    # Sixteen numbers at once, until one of them is large enough; then one by one.
    place = variable(builder, first)
    for lanes in (LANES, 1):
        head = builder.append_basic_block("next.head")
        body = builder.append_basic_block("next.body")
        done = builder.append_basic_block("next.done")
        builder.branch(head)
        builder.position_at_end(head)
        stop = offset(builder, builder.load(place), lanes)
        builder.cbranch(builder.icmp_signed("<=", stop, count), body, done)
        builder.position_at_end(body)
        value = load(builder, offset(builder, maxima, builder.load(place), 4), vector(I32, lanes))
        wide = builder.sext(greatest_lane(builder, value), I64)
        small = builder.icmp_signed("<", wide, least)
        following = builder.append_basic_block("next.small")
        builder.cbranch(small, following, done)
        builder.position_at_end(following)
        builder.store(stop, place)
        builder.branch(head)
        builder.position_at_end(done)
    return builder.load(place)


def sum_of_squares(x: int, depth: int) -> int:
    """sum_k x[k]^2 of int8 [depth]."""
    return int((view(x, np.int8, (depth,)).astype(np.int64) ** 2).sum())


@lowers(sum_of_squares)
def _sum_of_squares_ir(builder: ir.IRBuilder, x: ir.Value, depth: ir.Value) -> ir.Value:
    total = variable(builder, constant(I64, 0))
    with loop(builder, 0, depth) as k:
        value = builder.sext(load(builder, offset(builder, x, k), I8), I64)
        builder.store(builder.add(builder.load(total), builder.mul(value, value)), total)
    return builder.load(total)
