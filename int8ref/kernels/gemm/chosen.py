"""One row of the left matrix times chosen rows of an unpacked weight [N, K].

A shortlist selects some thousand columns of the vocabulary, and other columns for every sentence.
To pack these columns for each sentence would cost more time than it saves.  A column of the product
is a row of the weight, whose K bytes are contiguous.  Therefore a dot product runs along this row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from int8ref.kernels.gemm.dot import dot
from int8ref.kernels.gemm.layout import GROUP
from int8ref.kernels.gemm.operands import prepare
from int8ref.kernels.gemm.target import OPERAND, TARGET
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import I8, I32, I64, lowers, view
from int8ref.kernels.ir.vector import (
    call,
    constant,
    load,
    loop,
    minimum,
    offset,
    prefetch,
    store,
    variable,
)

AHEAD = 16  # prefetch distance in rows of the weight
LINE = 64
ABREAST = 4  # rows of the weight at once, which share the loads of the left row


def dots(left: int, weight: int, depth: int, start: int, tokens: int, count: int, out: int) -> None:
    """out[i] = start[t] + sum_k left[k] * weight[t, k] (mod 2^32) with t = tokens[i].

    `left`: one row from `operands.prepare`; `weight`: int8 [N, depth]; `start`: int32 [N]
    (`layout.start_values`); `tokens`, `out`: int32 [count].
    """
    row = view(left, OPERAND, (depth,)).astype(np.int64)
    for i, token in enumerate(view(tokens, np.int32, (count,)).tolist()):
        chosen = view(weight + token * depth, np.int8, (depth,)).astype(np.int64)
        total = view(start + token * 4, np.int32, (1,)) + row @ chosen
        view(out + i * 4, np.int32, (1,))[:] = total.astype(np.int32)


@lowers(dots)
def _dots_ir(
    builder: ir.IRBuilder,
    left: ir.Value,
    weight: ir.Value,
    depth: ir.Value,
    start: ir.Value,
    tokens: ir.Value,
    count: ir.Value,
    out: ir.Value,
) -> None:
    # Prefetch explicitly, because the CPU cannot predict the next chosen row.
    last = builder.sub(count, constant(I64, 1))

    def token(i: ir.Value) -> ir.Value:
        number = builder.sext(load(builder, offset(builder, tokens, i, 4), I32), I64)
        later = minimum(builder, offset(builder, i, AHEAD), last)
        behind = builder.sext(load(builder, offset(builder, tokens, later, 4), I32), I64)
        row = builder.add(weight, builder.mul(behind, depth))
        with loop(builder, 0, depth, LINE) as k:
            prefetch(builder, offset(builder, row, k))
        return number

    _all_dots(builder, left, weight, depth, start, count, out, token)


def column_dots(
    left: int, weight: int, depth: int, start: int, first: int, count: int, out: int
) -> None:
    """`dots` with the `count` rows of the weight from row `first` on."""
    row = view(left, OPERAND, (depth,)).astype(np.int64)
    columns = view(weight + first * depth, np.int8, (count, depth)).astype(np.int64)
    total = view(start + first * 4, np.int32, (count,)) + columns @ row
    view(out, np.int32, (count,))[:] = total.astype(np.int32)


@lowers(column_dots)
def _column_dots_ir(
    builder: ir.IRBuilder,
    left: ir.Value,
    weight: ir.Value,
    depth: ir.Value,
    start: ir.Value,
    first: ir.Value,
    count: ir.Value,
    out: ir.Value,
) -> None:
    def token(i: ir.Value) -> ir.Value:
        return builder.add(first, i)

    _all_dots(builder, left, weight, depth, start, count, out, token)


def _all_dots(
    builder: ir.IRBuilder,
    left: ir.Value,
    weight: ir.Value,
    depth: ir.Value,
    start: ir.Value,
    count: ir.Value,
    out: ir.Value,
    token: Callable[[ir.Value], ir.Value],
) -> None:
    """The loops of `dots`; token(i) is the number of the i-th row."""
    whole = builder.and_(count, ir.Constant(I64, -ABREAST))
    for abreast, first, last in ((ABREAST, ir.Constant(I64, 0), whole), (1, whole, count)):
        with loop(builder, first, last, abreast) as i:
            at = [offset(builder, i, j) for j in range(abreast)]
            chosen = [token(k) for k in at]
            rows = [builder.add(weight, builder.mul(number, depth)) for number in chosen]
            for k, number, total in zip(at, chosen, _sums(builder, left, rows, depth), strict=True):
                begun = load(builder, offset(builder, start, number, 4), I32)
                store(builder, builder.add(begun, total), offset(builder, out, k, 4))


def _sums(
    builder: ir.IRBuilder, left: ir.Value, rows: list[ir.Value], depth: ir.Value
) -> list[ir.Value]:
    """sum_k left[k] * row[k] of each row: in vectors, then the ragged end one by one."""
    step = dot(TARGET)
    whole = builder.and_(depth, ir.Constant(I64, -step.columns * GROUP))
    many = [variable(builder, constant(step.sums, 0)) for _ in rows]
    with loop(builder, 0, whole, step.columns * GROUP) as k:
        factor = step.along(builder, offset(builder, left, k, TARGET.operand_bytes))
        for sums, row in zip(many, rows, strict=True):
            weights = step.right(builder, offset(builder, row, k))
            builder.store(step.step(builder, builder.load(sums), factor, weights), sums)
    single = [variable(builder, constant(I32, 0)) for _ in rows]
    widen = builder.zext if TARGET.operand == "u8" else builder.sext
    element = ir.IntType(8 * TARGET.operand_bytes)
    with loop(builder, whole, depth) as k:
        at = offset(builder, left, k, TARGET.operand_bytes)
        scalar = widen(load(builder, at, element), I32)
        for total, row in zip(single, rows, strict=True):
            weight = builder.sext(load(builder, offset(builder, row, k), I8), I32)
            builder.store(builder.add(builder.load(total), builder.mul(scalar, weight)), total)
    reduce = f"llvm.vector.reduce.add.v{step.sums.count}i32"
    return [
        builder.add(call(builder, reduce, I32, builder.load(sums)), builder.load(total))
        for sums, total in zip(many, single, strict=True)
    ]


class Chosen(NamedTuple):
    """One row, and the rows of a weight for its dot products.

    x       address of int8 [depth]
    weight  address of int8 [N, depth], not packed
    start   address of int32 [N] (`layout.start_values`)
    tokens  address of int32 [count] in [0, N)
    """

    x: Any
    depth: Any
    weight: Any
    start: Any
    tokens: Any
    count: Any


@kernel
def row_chosen(chosen, out, workspace):
    """out[i] = start[t] + sum_k x[k] * weight[t, k] (mod 2^32) with t = tokens[i].

    `out`: address of int32 [count]; `workspace`: `scratch.workspace_bytes` bytes for one row.
    """
    prepare(chosen.x, 1, chosen.depth, workspace, 0)
    dots(
        workspace,
        chosen.weight,
        chosen.depth,
        chosen.start,
        chosen.tokens,
        chosen.count,
        out,
    )
