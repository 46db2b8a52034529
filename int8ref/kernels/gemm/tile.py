"""Micro-kernels: a few rows of the left matrix times one panel of weights, in registers.

There is one LLVM function for each height of 1 to 6 rows.  It walks over the panel in strips, which
are as wide as the accumulators allow.  In a strip, the loop over k loads each weight once for all
rows.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
from llvmlite import ir

from int8ref.kernels.gemm.dot import QuadProducts, Step, dot
from int8ref.kernels.gemm.heights import call_by_height, height_function
from int8ref.kernels.gemm.layout import DEPTH, GROUP, PANEL
from int8ref.kernels.gemm.target import OPERAND, TARGET
from int8ref.kernels.ir.lowering import I32, I64, lowers, view
from int8ref.kernels.ir.vector import load, loop, offset, prefetch, store, vector


def multiply(
    rows: int, a: int, a_pitch: int, b: int, groups: int, start: int, c: int, c_pitch: int
) -> None:
    """c[i, n] = start[n] + sum_k a[i, k] * b[n, k] (mod 2^32), for `rows` rows and the 64 columns
    of a panel.

    `a`: prepared rows (`operands.prepare`), `a_pitch` bytes apart; `b`: a packed panel, int8 [64/S,
    groups, S, 4]; `start`: int32 [64]; `c`: int32 rows, `c_pitch` bytes apart.  1 <= rows <= 6;
    `groups` is even and positive.
    """
    multiply_as(OPERAND, rows, a, a_pitch, b, groups, start, c, c_pitch)


@lowers(multiply)
def _multiply_ir(builder: ir.IRBuilder, rows: ir.Value, *arguments: ir.Value) -> None:
    call_by_height(builder, tile_function, rows, arguments)


def multiply_quads(
    rows: int, a: int, a_pitch: int, b: int, groups: int, start: int, c: int, c_pitch: int
) -> None:
    """`multiply` with raised rows (`operands.raise_rows`), and weights for which `pair_sums.fits`
    holds."""
    multiply_as(np.uint8, rows, a, a_pitch, b, groups, start, c, c_pitch)


@lowers(multiply_quads)
def _multiply_quads_ir(builder: ir.IRBuilder, rows: ir.Value, *arguments: ir.Value) -> None:
    if TARGET.pair_products:  # otherwise it is never called
        call_by_height(builder, quads_function, rows, arguments)


def multiply_as(
    operand: type,
    rows: int,
    a: int,
    a_pitch: int,
    b: int,
    groups: int,
    start: int,
    c: int,
    c_pitch: int,
) -> None:
    """The meaning of all products of a panel, for left rows of type `operand`."""
    strips = view(b, np.int8, (PANEL // TARGET.strip, groups, TARGET.strip, GROUP))
    panel = strips.transpose(0, 2, 1, 3).reshape(PANEL, -1)
    for i in range(rows):
        left = view(a + i * a_pitch, operand, panel.shape[1:]).astype(np.int64)
        sums = view(start, np.int32, (PANEL,)) + panel.astype(np.int64) @ left
        view(c + i * c_pitch, np.int32, (PANEL,))[:] = sums.astype(np.int32)


def tile_function(module: ir.Module, height: int) -> ir.Function:
    """The LLVM function of one height, which exists once in a module."""
    return height_function(module, "gemm", height, partial(_tile, dot(TARGET)))


def quads_function(module: ir.Module, height: int) -> ir.Function:
    """The LLVM function of one height for sums of four products in 16 bits."""
    return height_function(
        module, "quads", height, partial(_tile, QuadProducts(TARGET, TARGET.strip))
    )


def _tile(
    step: Step,
    builder: ir.IRBuilder,
    height: int,
    a: ir.Value,
    a_pitch: ir.Value,
    b: ir.Value,
    groups: ir.Value,
    start: ir.Value,
    c: ir.Value,
    c_pitch: ir.Value,
) -> None:
    across = TARGET.registers_across(height, PANEL, step.columns, step.groups)
    columns = across * step.columns
    rows = [offset(builder, a, a_pitch, m) for m in range(height)]
    with loop(builder, 0, PANEL, columns) as first:
        at = offset(builder, start, first, 4)
        starts = [
            load(builder, offset(builder, at, j * step.columns * 4), vector(I32, step.columns))
            for j in range(across)
        ]
        firsts = [step.first(value) for value in starts] * height
        weights = [
            _column(builder, b, groups, builder.add(first, ir.Constant(I64, j * step.columns)))
            for j in range(across)
        ]
        sums = _over_k(builder, step, rows, weights, groups, firsts)
        for (m, j), value in zip(product(range(height), range(across)), sums, strict=True):
            at = offset(builder, offset(builder, c, c_pitch, m), first, 4)
            value = step.last(builder, value, starts[j])
            store(builder, value, offset(builder, at, j * step.columns * 4))


def _column(builder: ir.IRBuilder, b: ir.Value, groups: ir.Value, column: ir.Value) -> ir.Value:
    """Address of the weights of a column of a panel, inside the strip of this column."""
    before = builder.and_(column, ir.Constant(I64, -TARGET.strip))
    inside = builder.and_(column, ir.Constant(I64, TARGET.strip - 1))
    strip = offset(builder, b, builder.mul(before, groups), GROUP)
    return offset(builder, strip, inside, GROUP)


def _fetch_ahead(
    builder: ir.IRBuilder, step: Step, columns: list[ir.Value], group: ir.Value, groups: ir.Value
) -> None:
    """Prefetch the weights of the next columns at this group, which the next loop over k reads."""
    width = len(columns) * step.columns
    behind = offset(builder, builder.mul(groups, ir.Constant(I64, GROUP)), width)
    for column in columns[:: TARGET.strip // step.columns]:
        here = offset(builder, column, group, TARGET.strip * GROUP)
        prefetch(builder, builder.add(here, behind))


def _over_k(
    builder: ir.IRBuilder,
    step: Step,
    rows: list[ir.Value],
    columns: list[ir.Value],
    groups: ir.Value,
    firsts: list[ir.Value],
) -> list[ir.Value]:
    """The loop over k.  Returns the accumulators [row][register across], which start as
    `firsts`."""
    across = len(firsts) // len(rows)
    unroll = DEPTH // GROUP // step.groups if step.unrolled or len(rows) == 1 else 1
    before, body = builder.block, builder.append_basic_block("k.body")
    builder.branch(body)
    builder.position_at_end(body)
    group = builder.phi(I64)
    group.add_incoming(ir.Constant(I64, 0), before)
    accumulators = [builder.phi(step.sums) for _ in firsts]
    sums: list[ir.Value] = list(accumulators)
    for u in range(unroll):
        current = builder.add(group, ir.Constant(I64, u * step.groups))
        weights = [
            step.right(builder, offset(builder, column, current, TARGET.strip * GROUP))
            for column in columns
        ]
        if len(rows) <= TARGET.fetching_rows:
            _fetch_ahead(builder, step, columns, current, groups)
        for m, row in enumerate(rows):
            left = step.left(builder, offset(builder, row, current, step.left_bytes))
            for j in range(across):
                i = m * across + j
                sums[i] = step.step(builder, sums[i], left, weights[j])
    following = builder.add(group, ir.Constant(I64, unroll * step.groups))
    group.add_incoming(following, body)
    for phi, first, value in zip(accumulators, firsts, sums, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(value, body)
    end = builder.append_basic_block("k.end")
    builder.cbranch(builder.icmp_signed("<", following, groups), body, end)
    builder.position_at_end(end)
    return sums
