"""What all kinds of attention share: whose keys a row sees, and the two products."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.kernels.arithmetic import reciprocal, shift_right
from int8ref.kernels.compile import kernel
from int8ref.kernels.gemm.lowering import I8, I16, I32, I64, address, lowers, view
from int8ref.kernels.gemm.vector import (
    add_pairs,
    by_width,
    constant,
    load,
    loop,
    offset,
    pieces,
    splat,
    store,
    sum_lanes,
    vector,
)
from int8ref.kernels.views import address_of, array, matrix, word
from int8ref.machine.frame import ADDRESS, HISTORY, MAX_STEPS, ROWS, WIDTH, operands_at
from int8ref.machine.frame import ITEM as SIZE
from int8ref.machine.frame import WORKSPACE as FRAME_WORKSPACE
from int8ref.reference import attention as meaning

MULTIPLIER_BITS = np.int64(meaning.MULTIPLIER_BITS)
WORKSPACE = 4 * meaning.MAX_KEYS
"""Bytes of workspace: the scores, then the weights, of one row and head; the sums lie behind."""
LANES = (32, 16, 8)
"""Columns of a head that are taken at once: the most that divide its width, or few and a rest."""

AT = operands_at(meaning.Attention)
QUERY, KEY, VALUE, SENTENCE, KEY_OFFSETS, OUT = (
    AT[f] for f in ("query", "key", "value", "sentence", "key_offsets", "out")
)
HEADS, HEAD_WIDTH, QUERY_COLUMN, KEY_COLUMN, VALUE_COLUMN = (
    AT[f] for f in ("heads", "head_width", "query_column", "key_column", "value_column")
)
CONTEXT_MULTIPLIER, CONTEXT_SHIFT = AT["context_multiplier"], AT["context_shift"]


@kernel
def attend(
    weigh,
    operands,
    query,
    query_pitch,
    key,
    key_pitch,
    value,
    value_pitch,
    sentence,
    key_offsets,
    max_steps,
    steps,
    heads,
    head_width,
    context_multiplier,
    context_shift,
    out,
    workspace,
):
    """Twin of `reference.attention.attend`, over addresses; `sentence` is 0 for histories.

    weigh(scores, h, operands) turns the scores of head h into weights, in place, and returns their
    sum.  Rows lie `query_pitch` apart, and so on; the addresses are those of the first column used.
    `workspace`: uint8 [WORKSPACE + 4 * head_width].
    """
    scores = workspace[:WORKSPACE].view(np.int32)
    sums = workspace[WORKSPACE : WORKSPACE + 4 * head_width].view(np.int32)
    for r in range(out.shape[0]):
        first, count = r * max_steps, steps
        if sentence != 0:
            b = int32_at(sentence, r)
            first = int32_at(key_offsets, b)
            count = int32_at(key_offsets, b + 1) - first
        weights = scores[:count]
        at = address(weights, np.int32)
        queries, keys = query + r * query_pitch, key + first * key_pitch
        values = value + first * value_pitch
        for h in range(heads):
            c = h * head_width
            dot_products(queries + c, keys + c, key_pitch, count, head_width, at)
            whole = weigh(weights, h, operands)
            weighted_sum(at, values + c, value_pitch, count, head_width, address(sums, np.int32))
            mean = out[r, c : c + head_width]
            _scale(sums, whole, context_multiplier[h], context_shift[h], mean)


@kernel
def _scale(sums, whole, multiplier, shift, out):
    """out[d] = sums[d] / whole, on the scale of out.

    `whole`, the sum of the weights, is at least 2^13 and shift 22, so that the last shift is at
    least 35: the high word has the result.
    """
    inverse, bits = reciprocal(whole)
    factor = np.int32((inverse * np.int64(multiplier)) >> MULTIPLIER_BITS)
    s = bits + np.int64(shift) - MULTIPLIER_BITS
    half = np.int64(1) << (s - np.int64(1))
    rest = np.int32(s - np.int64(32))
    for d in range(len(sums)):
        scaled = np.int64(sums[d]) * np.int64(factor) + half
        high = shift_right(np.int32(scaled >> np.int64(32)), rest)
        out[d] = np.int8(min(max(high, np.int32(-127)), np.int32(127)))


@kernel
def attend_arrays(
    weigh,
    operands,
    query,
    key,
    value,
    sentence,
    key_offsets,
    heads,
    head_width,
    query_column,
    key_column,
    value_column,
    context_multiplier,
    context_shift,
    out,
    workspace,
):
    """`attend` with the operands of the reference."""
    attend(
        weigh,
        operands,
        address(query, np.int8) + query_column,
        query.shape[1],
        address(key, np.int8) + key_column,
        key.shape[-1],
        address(value, np.int8) + value_column,
        value.shape[-1],
        address(sentence, np.int32),
        address(key_offsets, np.int32),
        key.shape[1],
        key.shape[1],
        heads,
        head_width,
        context_multiplier,
        context_shift,
        out,
        workspace,
    )


@kernel
def attend_code(frame, code, weigh, operands):
    """`attend` with the operands of an instruction."""
    heads, head_width = word(code, HEADS), word(code, HEAD_WIDTH)
    sentence = address_of(frame, code, SENTENCE) if word(code, SENTENCE + SIZE) != 0 else 0
    attend(
        weigh,
        operands,
        address_of(frame, code, QUERY) + word(code, QUERY_COLUMN),
        word(code, QUERY + WIDTH),
        address_of(frame, code, KEY) + word(code, KEY_COLUMN),
        word(code, KEY + WIDTH),
        address_of(frame, code, VALUE) + word(code, VALUE_COLUMN),
        word(code, VALUE + WIDTH),
        sentence,
        address_of(frame, code, KEY_OFFSETS),
        word(frame, MAX_STEPS),
        word(frame, HISTORY + ROWS),
        heads,
        head_width,
        array(word(code, CONTEXT_MULTIPLIER + ADDRESS), (heads,), np.int32),
        array(word(code, CONTEXT_SHIFT + ADDRESS), (heads,), np.int8),
        matrix(frame, code, OUT, np.int8),
        array(word(frame, FRAME_WORKSPACE), (WORKSPACE + 4 * head_width,), np.uint8),
    )


def int32_at(address: int, index: int) -> int:
    """The int32 number `index` at an address."""
    return int(view(address + 4 * index, np.int32, (1,))[0])


@lowers(int32_at)
def _int32_at_ir(builder: ir.IRBuilder, address: ir.Value, index: ir.Value) -> ir.Value:
    return builder.sext(load(builder, offset(builder, address, index, 4), I32), I64)


def dot_products(query: int, keys: int, pitch: int, count: int, width: int, scores: int) -> None:
    """int32 scores[j] = sum_d query[d] * keys[j, d], for `count` rows that lie `pitch` apart."""
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
    def emit(most: int) -> None:
        with builder.goto_entry_block():
            many, one = builder.alloca(vector(I32, most // 2)), builder.alloca(I32)
        with loop(builder, 0, count) as j:
            key = offset(builder, keys, builder.mul(j, pitch))
            builder.store(constant(many.type.pointee, 0), many)
            builder.store(constant(I32, 0), one)
            ragged = most == LANES[-1]
            whole = [(most, ir.Constant(I64, 0), width)]
            for lanes, start, stop in pieces(builder, width, most) if ragged else whole:
                with loop(builder, start, stop, lanes) as d:
                    places = (offset(builder, row, d) for row in (query, key))
                    factors = [load(builder, at, vector(I8, lanes)) for at in places]
                    for kind in (vector(I16, lanes), vector(I32, lanes)):
                        factors = [builder.sext(factor, kind) for factor in factors]
                    products = builder.mul(*factors)
                    room = many if lanes > 1 else one
                    if lanes > 1:
                        products = add_pairs(builder, products)
                    builder.store(builder.add(builder.load(room), products), room)
            total = builder.add(sum_lanes(builder, builder.load(many)), builder.load(one))
            store(builder, total, offset(builder, scores, j, 4))

    by_width(builder, width, LANES, emit)


def weighted_sum(weights: int, values: int, pitch: int, count: int, width: int, sums: int) -> None:
    """int32 sums[d] = sum_j weights[j] * values[j, d]; weights are int32 of at most 2^14."""
    total = np.zeros(width, np.int32)
    for j in range(count):
        row = view(values + j * pitch, np.int8, (width,)).astype(np.int32)
        total += view(weights + 4 * j, np.int32, (1,)) * row
    view(sums, np.int32, (width,))[:] = total


@lowers(weighted_sum)
def _weighted_sum_ir(
    builder: ir.IRBuilder,
    weights: ir.Value,
    values: ir.Value,
    pitch: ir.Value,
    count: ir.Value,
    width: ir.Value,
    sums: ir.Value,
) -> None:
    # Two rows at a time, interleaved: a pair of products of 16 bits is one instruction.
    for lanes, start, stop in pieces(builder, width, *LANES):
        kind = vector(I32, lanes)
        with builder.goto_entry_block():
            total = builder.alloca(kind)
        with loop(builder, start, stop, lanes) as d:
            builder.store(constant(kind, 0), total)
            with loop(builder, 0, count, 2) as j:
                following = builder.add(j, constant(I64, 1))
                exists = builder.icmp_signed("<", following, count)
                second = builder.select(exists, following, j)
                pair = []
                for row in (j, second):
                    at = offset(builder, offset(builder, values, builder.mul(row, pitch)), d)
                    value = load(builder, at, vector(I8, lanes))
                    pair.append(builder.sext(value, vector(I16, lanes)))
                w = [load(builder, offset(builder, weights, row, 4), I32) for row in (j, second)]
                w[1] = builder.select(exists, w[1], constant(I32, 0))
                products = _pair_products(builder, pair, w, lanes)
                builder.store(builder.add(builder.load(total), products), total)
            store(builder, builder.load(total), offset(builder, sums, d, 4))


def _pair_products(
    builder: ir.IRBuilder, rows: list[ir.Value], weights: list[ir.Value], lanes: int
) -> ir.Value:
    """rows[0] * weights[0] + rows[1] * weights[1] in int32, of rows of int16."""
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
