"""Compiled twin of `int8ref.reference.attention_polynomial`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from int8ref.kernels.attention import attend
from int8ref.kernels.attention import shared as shared
from int8ref.kernels.attention_scores import (
    ALL,
    KEYS,
    eights,
    largest_score,
    rounded,
)
from int8ref.kernels.ir.arithmetic import bit_length, rounding_shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import I32, I64, address, lowers, view
from int8ref.kernels.ir.vector import (
    constant,
    load,
    maximum,
    splat,
    store,
    sum_lanes,
    variable,
)
from int8ref.reference import attention_polynomial as meaning
from int8ref.reference.attention import WEIGHT_BITS
from int8ref.spec.arithmetic import EXP2_FRACTION_BITS

BASE_BITS = meaning.BASE_BITS


@kernel
def attention_polynomial(shared, degree, score_bias, score_shift, delta_multiplier, delta_shift):
    """Polynomial attention of every row over the keys that it sees."""
    operands = degree, score_bias, score_shift, delta_multiplier, delta_shift
    attend(polynomial_weights, far, operands, shared)


@kernel
def polynomial_weights(scores, h, place, operands):
    """Turn scores into weights, in place.  Returns their sum, and the octave of their unit.

    The shifts of a block come from its largest score, because it has the largest weight.
    """
    degree, score_bias, score_shift, delta_multiplier, delta_shift = operands
    bias = np.int32(score_bias[h])
    largest = max(largest_score(address(scores, np.int32), len(scores)), -int(bias))
    x, least = largest + int(bias), int(score_shift[h])
    e = max(bit_length(x) - BASE_BITS, least)
    k = min(int(delta_shift[h]) + degree * (e - least), meaning.MAX_SHIFT)
    delta = int(rounding_shift_right(delta_multiplier[h], k))
    top = _power(int(rounding_shift_right(x, e)), degree) + delta
    g = bit_length(top) - WEIGHT_BITS
    total = weigh(address(scores, np.int32), len(scores), degree, int(bias), e, delta, g)
    return total, g + degree * e


@kernel
def far(distance, h, operands):
    """The octaves of a distance of units, with 10 fraction bits."""
    return distance << np.int64(EXP2_FRACTION_BITS)


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
    """Turn int32 scores into the weights of `reference.attention_polynomial`, and return their sum.

    e, delta and g belong to the row.  Everything fits in int32.
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
    # One loop for each degree, so that the degree is not tested for every score.
    total = variable(builder, constant(ALL, 0))
    done = builder.append_basic_block("weigh.done")
    switch = builder.switch(degree, done)
    for n in range(1, meaning.MAX_DEGREE + 1):
        with builder.goto_block(builder.append_basic_block(f"weigh.{n}")):
            switch.add_case(n, builder.block)
            _weigh_loop(builder, scores, count, n, row, total)
            builder.branch(done)
    builder.position_at_end(done)
    return builder.sext(sum_lanes(builder, builder.load(total)), I64)


def _weigh_loop(
    builder: ir.IRBuilder,
    scores: ir.Value,
    count: ir.Value,
    degree: int,
    row: Sequence[ir.Value],
    total: ir.Value,
) -> None:
    """The loop of `weigh` for one degree."""
    bias, e, delta, g = (splat(builder, builder.trunc(x, I32), KEYS) for x in row)
    zero, base = constant(ALL, 0), constant(ALL, BASE_BITS)
    left, right = maximum(builder, builder.neg(g), zero), maximum(builder, g, zero)
    with eights(builder, scores, count) as (at, counts):
        x = builder.add(load(builder, at, ALL), bias)
        u = rounded(builder, maximum(builder, x, zero), e)
        power = builder.shl(u, base) if degree == 1 else builder.mul(u, u)
        if degree > 2:
            scaled = rounded(builder, power, base)
            power = builder.mul(scaled, u if degree == 3 else scaled)
        t = builder.shl(builder.add(power, delta), left)
        weight = builder.select(counts, rounded(builder, t, right), zero)
        store(builder, weight, at)
        builder.store(builder.add(builder.load(total), weight), total)
