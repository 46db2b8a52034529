"""Compiled twin of `int8ref.reference.attention_polynomial`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from int8ref.kernels.arithmetic import bit_length, rounding_shift_right
from int8ref.kernels.attention import HEADS, attend_arrays, attend_code
from int8ref.kernels.compile import kernel
from int8ref.kernels.gemm.lowering import I32, I64, address, lowers, view
from int8ref.kernels.gemm.vector import (
    constant,
    load,
    loop,
    maximum,
    offset,
    pieces,
    splat,
    store,
    sum_lanes,
    vector,
)
from int8ref.kernels.views import array, word
from int8ref.machine.frame import ADDRESS, operands_at
from int8ref.reference import attention_polynomial as meaning
from int8ref.reference.attention import WEIGHT_BITS

BASE_BITS = meaning.BASE_BITS
LANES = (8, 4)
"""Keys that are weighed at once."""

AT = operands_at(meaning.AttentionPolynomial)
DEGREE, SCORE_BIAS, SCORE_SHIFT, DELTA_MULTIPLIER, DELTA_SHIFT = (
    AT[f] for f in ("degree", "score_bias", "score_shift", "delta_multiplier", "delta_shift")
)


@kernel
def attention_polynomial(
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
    limit,
    degree,
    score_bias,
    score_shift,
    delta_multiplier,
    delta_shift,
    out,
    workspace,
):
    """Polynomial attention of every row over what it sees; out [rows, heads * head_width]."""
    attend_arrays(
        polynomial_weights,
        (degree, score_bias, score_shift, delta_multiplier, delta_shift),
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
        limit,
        out,
        workspace,
    )


@kernel
def polynomial_weights(scores, h, operands):
    """Scores to weights, in place; returns their sum.  The largest score has the largest weight."""
    degree, score_bias, score_shift, delta_multiplier, delta_shift = operands
    bias = np.int32(score_bias[h])
    largest = np.int32(-bias)
    for j in range(len(scores)):
        largest = max(largest, scores[j])
    x, least = int(largest) + int(bias), int(score_shift[h])
    e = max(bit_length(x) - BASE_BITS, least)
    k = min(int(delta_shift[h]) + degree * (e - least), meaning.MAX_SHIFT)
    delta = int(rounding_shift_right(delta_multiplier[h], k))
    top = _power(int(rounding_shift_right(x, e)), degree) + delta
    g = bit_length(top) - WEIGHT_BITS
    return weigh(address(scores, np.int32), len(scores), degree, int(bias), e, delta, g)


@kernel
def _power(u, degree):
    """Twin of `power` in int64."""
    if degree == 1:
        return u << BASE_BITS
    square = u * u
    if degree == 2:
        return square
    scaled = int(rounding_shift_right(square, BASE_BITS))
    return scaled * (u if degree == 3 else scaled)


def weigh(scores: int, count: int, degree: int, bias: int, e: int, delta: int, g: int) -> int:
    """int32 scores become the weights of `reference.attention_polynomial`; returns their sum.

    e, delta and g are those of the row.  All in int32.
    """
    s = view(scores, np.int32, (count,))
    x = np.maximum(s + np.int32(bias), np.int32(0))
    u = rounding_shift(x, e)
    if degree == 1:
        power = u << np.int32(BASE_BITS)
    elif degree == 2:
        power = u * u
    else:
        scaled = rounding_shift(u * u, BASE_BITS)
        power = scaled * (u if degree == 3 else scaled)
    t = (power + np.int32(delta)) << np.int32(max(-g, 0))
    s[:] = rounding_shift(t, max(g, 0))
    return int(s.sum(dtype=np.int32))


def rounding_shift(x: NDArray[np.int32], shift: int) -> NDArray[np.int32]:
    """`arithmetic.rounding_shift_right` in int32."""
    shifted: NDArray[np.int32] = (x + np.int32((1 << shift) >> 1)) >> np.int32(shift)
    return shifted


@lowers(weigh)
def _weigh_ir(
    builder: ir.IRBuilder,
    scores: ir.Value,
    count: ir.Value,
    degree: ir.Value,
    *row: ir.Value,
) -> ir.Value:
    # A loop for each degree: which it is must not be asked for every score.
    with builder.goto_entry_block():
        totals = {lanes: builder.alloca(vector(I32, lanes)) for lanes in (*LANES, 1)}
    for total in totals.values():
        builder.store(constant(total.type.pointee, 0), total)
    done = builder.append_basic_block("weigh.done")
    switch = builder.switch(degree, done)
    for n in range(1, meaning.MAX_DEGREE + 1):
        with builder.goto_block(builder.append_basic_block(f"weigh.{n}")):
            switch.add_case(n, builder.block)
            _weigh_loops(builder, scores, count, n, row, totals)
            builder.branch(done)
    builder.position_at_end(done)
    sums = [sum_lanes(builder, builder.load(total)) for total in totals.values()]
    return builder.sext(reduce(builder.add, sums), I64)


def _weigh_loops(
    builder: ir.IRBuilder,
    scores: ir.Value,
    count: ir.Value,
    degree: int,
    row: Sequence[ir.Value],
    totals: dict[int, ir.Value],
) -> None:
    """The loops of `weigh` for one degree."""
    zero = ir.Constant(I64, 0)
    bias, e, delta, g = row
    left = maximum(builder, builder.neg(g), zero)
    right = maximum(builder, g, zero)
    for lanes, start, stop in pieces(builder, count, *LANES):
        kind = vector(I32, lanes)

        def every(x: ir.Value, lanes: int = lanes) -> ir.Value:
            return splat(builder, builder.trunc(x, I32), lanes)

        def shifted(x: ir.Value, shift: ir.Value, kind: ir.Type = kind) -> ir.Value:
            half = builder.lshr(builder.shl(constant(kind, 1), shift), constant(kind, 1))
            return builder.ashr(builder.add(x, half), shift)

        with loop(builder, start, stop, lanes) as j:
            at = offset(builder, scores, j, 4)
            x = builder.add(load(builder, at, kind), every(bias))
            u = shifted(maximum(builder, x, constant(kind, 0)), every(e))
            base = constant(kind, BASE_BITS)
            power = builder.shl(u, base) if degree == 1 else builder.mul(u, u)
            if degree > 2:
                scaled = shifted(power, base)
                power = builder.mul(scaled, u if degree == 3 else scaled)
            t = builder.shl(builder.add(power, every(delta)), every(left))
            weight = shifted(t, every(right))
            store(builder, weight, at)
            builder.store(builder.add(builder.load(totals[lanes]), weight), totals[lanes])


@kernel
def step(frame, code):
    """Run an attention_polynomial instruction."""
    heads = word(code, HEADS)
    bias = array(word(code, SCORE_BIAS + ADDRESS), (heads,), np.int32)
    least = array(word(code, SCORE_SHIFT + ADDRESS), (heads,), np.int8)
    delta = array(word(code, DELTA_MULTIPLIER + ADDRESS), (heads,), np.int32)
    shift = array(word(code, DELTA_SHIFT + ADDRESS), (heads,), np.int8)
    attend_code(frame, code, polynomial_weights, (word(code, DEGREE), bias, least, delta, shift))
