"""Compiled twin of `int8ref.reference.attention_softmax`."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.kernels.arithmetic import exp2_negative, reciprocal, shift_right
from int8ref.kernels.compile import kernel
from int8ref.kernels.gemm.lowering import I8, I16, I32, I64, address, lowers, view
from int8ref.kernels.gemm.vector import (
    add_pairs,
    constant,
    load,
    loop,
    offset,
    pieces,
    splat,
    store,
    vector,
)
from int8ref.kernels.views import array, column, matrix, word
from int8ref.machine.frame import ADDRESS, operands_at
from int8ref.machine.frame import WORKSPACE as FRAME_WORKSPACE
from int8ref.reference import attention_softmax as meaning

MAX_KEYS = meaning.MAX_KEYS
MULTIPLIER_BITS = np.int64(meaning.MULTIPLIER_BITS)
WORKSPACE = 4 * MAX_KEYS
"""Bytes of workspace: the scores, then the weights, of one row and head."""
LANES = 32


@kernel
def attention_softmax(
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
    score_multiplier,
    score_limit,
    score_shift,
    context_multiplier,
    context_shift,
    out,
    workspace,
):
    """Softmax attention of every row over its own sentence; out int8 [rows, heads * head_width].

    `workspace`: uint8 [WORKSPACE + 4 * head_width].
    """
    scores = workspace[:WORKSPACE].view(np.int32)
    acc = workspace[WORKSPACE : WORKSPACE + 4 * head_width].view(np.int32)
    query_pitch, key_pitch, value_pitch = query.shape[1], key.shape[1], value.shape[1]
    for r in range(len(sentence)):
        first = int(key_offsets[sentence[r]])
        count = int(key_offsets[sentence[r] + 1]) - first
        weights = scores[:count]
        queries = address(query, np.int8) + r * query_pitch + query_column
        keys = address(key, np.int8) + first * key_pitch + key_column
        values = address(value, np.int8) + first * value_pitch + value_column
        for h in range(heads):
            column = h * head_width
            at = address(weights, np.int32)
            dot_products(queries + column, keys + column, key_pitch, count, head_width, at)
            total = _softmax_weights(weights, score_multiplier[h], score_limit[h], score_shift)
            inverse, bits = reciprocal(total)
            factor = (inverse * np.int64(context_multiplier[h])) >> MULTIPLIER_BITS
            shift = bits + np.int64(context_shift[h]) - MULTIPLIER_BITS
            sums = address(acc, np.int32)
            weighted_sum(at, values + column, value_pitch, count, head_width, sums)
            _scale(acc, factor, shift, out[r, column : column + head_width])


@kernel
def _softmax_weights(scores, multiplier, limit, shift):
    """Scores to weights (A4), in place; returns their sum."""
    largest = scores[0]
    for j in range(1, len(scores)):
        largest = max(largest, scores[j])
    factor, most, s = np.int32(multiplier), np.int32(limit), np.int32(shift)
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    total = np.int32(0)
    for j in range(len(scores)):
        distance = min(np.int32(largest - scores[j]), most)
        z = shift_right(np.int32(np.int32(distance * factor) + half), s)
        weight = exp2_negative(z)
        scores[j] = weight
        total = np.int32(total + weight)
    return total


@kernel
def _scale(acc, multiplier, shift, out):
    """acc * multiplier >> shift, rounded; shift is at least 36, so the high word has the result."""
    half = np.int64(1) << (shift - np.int64(1))
    rest = np.int32(shift - np.int64(32))
    for d in range(len(acc)):
        scaled = np.int64(acc[d]) * np.int64(np.int32(multiplier)) + half
        high = shift_right(np.int32(scaled >> np.int64(32)), rest)
        out[d] = np.int8(min(max(high, np.int32(-127)), np.int32(127)))


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
    with builder.goto_entry_block():
        many, one = builder.alloca(vector(I32, LANES // 2)), builder.alloca(I32)
    with loop(builder, 0, count) as j:
        key = offset(builder, keys, builder.mul(j, pitch))
        builder.store(constant(many.type.pointee, 0), many)
        builder.store(constant(I32, 0), one)
        for lanes, start, stop in pieces(builder, width, LANES):
            with loop(builder, start, stop, lanes) as d:
                factors = (
                    builder.sext(load(builder, offset(builder, row, d), vector(I8, lanes)), kind)
                    for kind in [vector(I16, lanes)]
                    for row in (query, key)
                )
                wide = (builder.sext(factor, vector(I32, lanes)) for factor in factors)
                products = builder.mul(*wide)
                if lanes == 1:
                    builder.store(builder.add(builder.load(one), products), one)
                else:
                    sums = add_pairs(builder, products)
                    builder.store(builder.add(builder.load(many), sums), many)
        total = builder.load(many)
        while total.type.count > 1:
            total = add_pairs(builder, total)
        total = builder.extract_element(total, constant(I32, 0))
        store(builder, builder.add(total, builder.load(one)), offset(builder, scores, j, 4))


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
    for lanes, start, stop in pieces(builder, width, LANES):
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


AT = operands_at(meaning.AttentionSoftmax)
QUERY, KEY, VALUE, SENTENCE, KEY_OFFSETS = (
    AT[f] for f in ("query", "key", "value", "sentence", "key_offsets")
)
HEADS, HEAD_WIDTH, QUERY_COLUMN, KEY_COLUMN, VALUE_COLUMN = (
    AT[f] for f in ("heads", "head_width", "query_column", "key_column", "value_column")
)
SCORE_MULTIPLIER, SCORE_LIMIT, SCORE_SHIFT, CONTEXT_MULTIPLIER, CONTEXT_SHIFT, OUT = (
    AT[f]
    for f in (
        "score_multiplier",
        "score_limit",
        "score_shift",
        "context_multiplier",
        "context_shift",
        "out",
    )
)


@kernel
def step(frame, code):
    """Run an attention_softmax instruction."""
    heads, head_width = word(code, HEADS), word(code, HEAD_WIDTH)
    attention_softmax(
        matrix(frame, code, QUERY, np.int8),
        matrix(frame, code, KEY, np.int8),
        matrix(frame, code, VALUE, np.int8),
        column(frame, code, SENTENCE),
        column(frame, code, KEY_OFFSETS),
        heads,
        head_width,
        word(code, QUERY_COLUMN),
        word(code, KEY_COLUMN),
        word(code, VALUE_COLUMN),
        array(word(code, SCORE_MULTIPLIER + ADDRESS), (heads,), np.int32),
        array(word(code, SCORE_LIMIT + ADDRESS), (heads,), np.int32),
        word(code, SCORE_SHIFT),
        array(word(code, CONTEXT_MULTIPLIER + ADDRESS), (heads,), np.int32),
        array(word(code, CONTEXT_SHIFT + ADDRESS), (heads,), np.int8),
        matrix(frame, code, OUT, np.int8),
        array(word(frame, FRAME_WORKSPACE), (WORKSPACE + 4 * head_width,), np.uint8),
    )
