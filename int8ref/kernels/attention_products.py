"""The innermost loops of attention: dot products, weighted sums, and their requantisation."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.kernels.attention_scores import KEYS
from int8ref.kernels.ir.lowering import I8, I16, I32, I64, lowers, view
from int8ref.kernels.ir.vector import (
    add_pairs,
    constant,
    load,
    loop,
    maximum,
    minimum,
    offset,
    pieces,
    prefetch,
    splat,
    store,
    sum_lanes,
    variable,
    vector,
)

ABREAST = 2 * KEYS
"""Columns that eight keys process at once."""
LANES = (32, 16, 8)
"""Columns of a head that are processed at once.  Wide vectors come first, then narrow ones for the
rest."""


def dot_products(query: int, keys: int, pitch: int, count: int, width: int, scores: int) -> None:
    """int32 scores[j] = sum_d query[d] * keys[j, d], for `count` rows that lie `pitch` bytes
    apart."""
    q = view(query, np.int8, (width,)).astype(np.int32)
    for j in range(count):
        products = q * view(keys + j * pitch, np.int8, (width,)).astype(np.int32)
        view(scores + 4 * j, np.int32, (1,))[0] = products.sum(dtype=np.int32)


@lowers(dot_products)
def _dot_products_ir(
    builder: ir.IRBuilder,
    query: ir.Value,
    keys: ir.Value,
    pitch: ir.Value,
    count: ir.Value,
    width: ir.Value,
    scores: ir.Value,
) -> None:
    whole, last = builder.and_(count, constant(I64, -KEYS)), builder.sub(count, constant(I64, 1))

    ragged = builder.and_(width, constant(I64, ABREAST - 1))
    even = builder.icmp_signed("==", ragged, constant(I64, 0))
    with builder.if_else(even) as (abreast, singly):
        with abreast:
            with loop(builder, 0, whole, KEYS) as j:
                key = offset(builder, keys, builder.mul(j, pitch))
                rows = [offset(builder, key, pitch, i) for i in range(KEYS)]
                _dots_abreast(builder, query, rows, width, offset(builder, scores, j, 4))
            # Fewer than eight keys are left: the last key fills the other places.
            with loop(builder, whole, count, KEYS) as j:
                numbers = [minimum(builder, offset(builder, j, i), last) for i in range(KEYS)]
                rows = [builder.add(keys, builder.mul(n, pitch)) for n in numbers]
                _dots_abreast(builder, query, rows, width, offset(builder, scores, j, 4))
        with singly, loop(builder, 0, count) as j:
            key = offset(builder, keys, builder.mul(j, pitch))
            store(builder, _dot(builder, query, key, width), offset(builder, scores, j, 4))


def _dot(builder: ir.IRBuilder, query: ir.Value, key: ir.Value, width: ir.Value) -> ir.Value:
    """The product of one key, for any width."""
    most = LANES[-1]
    many, one = (variable(builder, constant(kind, 0)) for kind in (vector(I32, most // 2), I32))
    for lanes, start, stop in pieces(builder, width, most):
        with loop(builder, start, stop, lanes) as d:
            factors = [
                load(builder, offset(builder, row, d), vector(I8, lanes)) for row in (query, key)
            ]
            products = builder.mul(*(builder.sext(x, vector(I32, lanes)) for x in factors))
            room = many if lanes > 1 else one
            if lanes > 1:
                products = add_pairs(builder, products)
            builder.store(builder.add(builder.load(room), products), room)
    return builder.add(sum_lanes(builder, builder.load(many)), builder.load(one))


def _dots_abreast(
    builder: ir.IRBuilder,
    query: ir.Value,
    rows: list[ir.Value],
    width: ir.Value,
    scores: ir.Value,
) -> None:
    """Scores of eight keys at once.  They share the load of the query and the sum of the lanes."""
    narrow, wide = vector(I16, ABREAST), vector(I32, ABREAST)
    totals = [variable(builder, constant(vector(I32, KEYS), 0)) for _ in rows]
    with loop(builder, 0, width, ABREAST) as d:
        places = [offset(builder, row, d) for row in (query, *rows)]
        loaded = [load(builder, at, vector(I8, ABREAST)) for at in places]
        q, *values = [builder.sext(builder.sext(x, narrow), wide) for x in loaded]
        for value, total in zip(values, totals, strict=True):
            sums = add_pairs(builder, builder.mul(q, value))
            builder.store(builder.add(builder.load(total), sums), total)
    store(builder, _sums_of_lanes(builder, [builder.load(total) for total in totals]), scores)


def _sums_of_lanes(builder: ir.IRBuilder, rows: list[ir.Value]) -> ir.Value:
    """The sum of each of eight vectors of eight lanes; the pairs match the instruction vphaddd."""

    def added(a: ir.Value, b: ir.Value, first: list[int], second: list[int]) -> ir.Value:
        masks = (ir.Constant(vector(I32, KEYS), lanes) for lanes in (first, second))
        return builder.add(*(builder.shuffle_vector(a, b, mask) for mask in masks))

    even = [0, 2, 8, 10, 4, 6, 12, 14]
    while len(rows) > 2:
        pairs = zip(rows[::2], rows[1::2], strict=True)
        rows = [added(a, b, even, [lane + 1 for lane in even]) for a, b in pairs]
    a, b = rows
    low = [0, 1, 2, 3, 8, 9, 10, 11]
    return added(a, b, low, [lane + 4 for lane in low])


def clear_sums(sums: int, width: int) -> None:
    """int32 sums[d] = 0."""
    view(sums, np.int32, (width,))[:] = 0


@lowers(clear_sums)
def _clear_sums_ir(builder: ir.IRBuilder, sums: ir.Value, width: ir.Value) -> None:
    for lanes, start, stop in pieces(builder, width, *LANES):
        with loop(builder, start, stop, lanes) as d:
            store(builder, constant(vector(I32, lanes), 0), offset(builder, sums, d, 4))


def add_weighted(weights: int, values: int, pitch: int, count: int, width: int, sums: int) -> None:
    """int32 sums[d] += sum_j weights[j] * values[j, d]; the weights are int32 and at most 2^14."""
    total = view(sums, np.int32, (width,))
    for j in range(count):
        row = view(values + j * pitch, np.int8, (width,)).astype(np.int32)
        total += view(weights + 4 * j, np.int32, (1,)) * row


@lowers(add_weighted)
def _add_weighted_ir(
    builder: ir.IRBuilder,
    weights: ir.Value,
    values: ir.Value,
    pitch: ir.Value,
    count: ir.Value,
    width: ir.Value,
    sums: ir.Value,
) -> None:
    # Two rows at a time, interleaved, because one instruction computes a pair of 16-bit products.
    pairs = builder.and_(count, constant(I64, -2))
    for lanes, start, stop in pieces(builder, width, *LANES):
        with loop(builder, start, stop, lanes) as d:
            at = offset(builder, sums, d, 4)
            total = variable(builder, load(builder, at, vector(I32, lanes)))
            column = builder.add(values, d)
            _add_row_pairs(builder, (column, weights), pitch, (constant(I64, 0), pairs), total)
            _add_row_pairs(builder, (column, weights), pitch, (pairs, count), total, odd=True)
            store(builder, builder.load(total), at)


def _add_row_pairs(
    builder: ir.IRBuilder,
    operands: tuple[ir.Value, ir.Value],
    pitch: ir.Value,
    rows: tuple[ir.Value, ir.Value],
    total: ir.Value,
    odd: bool = False,
) -> None:
    """Add products of a column and its weights to `total`, two rows at a time.

    With `odd`, a single row is left.  It is used twice, and its second weight is 0.
    """
    column, weights = operands
    sums, step = total.type.pointee, 0 if odd else 1
    lanes = sums.count if isinstance(sums, ir.VectorType) else 1
    with loop(builder, *rows, 2) as j:
        row = offset(builder, column, builder.mul(j, pitch))
        pair = [
            builder.sext(load(builder, at, vector(I8, lanes)), vector(I16, lanes))
            for at in (row, offset(builder, row, pitch, step))
        ]
        at = offset(builder, weights, j, 4)
        w = [load(builder, at, I32), constant(I32, 0)]
        if not odd:
            w[1] = load(builder, offset(builder, at, 4), I32)
        products = _pair_products(builder, pair, w, lanes)
        builder.store(builder.add(builder.load(total), products), total)


def _pair_products(
    builder: ir.IRBuilder, rows: list[ir.Value], weights: list[ir.Value], lanes: int
) -> ir.Value:
    """rows[0] * weights[0] + rows[1] * weights[1] in int32, for int16 rows."""
    if lanes == 1:
        products = [
            builder.mul(builder.sext(r, I32), w) for r, w in zip(rows, weights, strict=True)
        ]
        return builder.add(*products)
    order = [lane + lanes * row for lane in range(lanes) for row in range(2)]
    mask = ir.Constant(vector(I32, 2 * lanes), order)
    both = builder.shuffle_vector(*rows, mask)
    high = builder.shl(weights[1], constant(I32, 16))
    packed = splat(builder, builder.or_(weights[0], high), lanes)
    factors = builder.bitcast(packed, vector(I16, 2 * lanes))
    wide = vector(I32, 2 * lanes)
    return add_pairs(builder, builder.mul(builder.sext(both, wide), builder.sext(factors, wide)))


def fetch_rows(address: int, pitch: int, count: int) -> None:
    """Prefetch the first cache line of each of `count` rows, which lie `pitch` bytes apart."""


@lowers(fetch_rows)
def _fetch_rows_ir(
    builder: ir.IRBuilder, address: ir.Value, pitch: ir.Value, count: ir.Value
) -> None:
    with loop(builder, 0, count) as row:
        prefetch(builder, offset(builder, address, builder.mul(row, pitch)))


def scale_sums(sums: int, width: int, factor: int, shift: int, limit: int, out: int) -> None:
    """out[d] = rounding_shift_right(sums[d] * factor, shift), saturated to [-limit, limit].

    `sums`: int32; `factor` below 2^31; `shift` at least 33, so that the high word contains the
    result.  out: int8 for a limit of at most 127, else int16.
    """
    product = view(sums, np.int32, (width,)).astype(np.int64) * factor
    rounded = (product + (1 << (shift - 1))) >> shift
    kind = np.int8 if limit <= 127 else np.int16
    view(out, kind, (width,))[:] = np.clip(rounded, -limit, limit)


@lowers(scale_sums)
def _scale_sums_ir(
    builder: ir.IRBuilder,
    sums: ir.Value,
    width: ir.Value,
    factor: ir.Value,
    shift: ir.Value,
    limit: ir.Value,
    out: ir.Value,
) -> None:
    half = builder.shl(ir.Constant(I64, 1), builder.sub(shift, ir.Constant(I64, 1)))
    rest = builder.trunc(builder.sub(shift, ir.Constant(I64, 32)), I32)
    high = builder.trunc(limit, I32)

    def emit(kind: ir.Type) -> None:
        for lanes, start, stop in pieces(builder, width, LANES[-1]):
            wide = vector(I64, lanes)
            with loop(builder, start, stop, lanes) as d:
                value = load(builder, offset(builder, sums, d, 4), vector(I32, lanes))
                product = builder.mul(builder.sext(value, wide), splat(builder, factor, lanes))
                upper = builder.lshr(
                    builder.add(product, splat(builder, half, lanes)), constant(wide, 32)
                )
                value = builder.ashr(builder.trunc(upper, value.type), splat(builder, rest, lanes))
                most = splat(builder, high, lanes)
                value = maximum(builder, minimum(builder, value, most), builder.neg(most))
                value = builder.trunc(value, vector(kind, lanes))
                store(builder, value, offset(builder, out, d, kind.width // 8))

    with builder.if_else(builder.icmp_signed("<=", limit, ir.Constant(I64, 127))) as (data, wide):
        with data:
            emit(I8)
        with wide:
            emit(I16)
