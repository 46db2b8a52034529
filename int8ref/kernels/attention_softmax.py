"""Compiled twin of `int8ref.reference.attention_softmax`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from int8ref.abi.frame import ADDRESS, operands_at
from int8ref.kernels.attention import attend
from int8ref.kernels.attention import shared as shared
from int8ref.kernels.attention_scores import (
    ALL,
    KEYS,
    eights,
    largest_score,
    rounded,
)
from int8ref.kernels.ir.arithmetic import rounding_shift_right, soft_cap
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import I32, I64, address, lowers, view
from int8ref.kernels.ir.vector import (
    constant,
    load,
    minimum,
    splat,
    store,
    sum_lanes,
    variable,
)
from int8ref.kernels.views import array, word
from int8ref.reference import attention_softmax as meaning
from int8ref.spec import arithmetic
from int8ref.spec.arithmetic import EXP2_COEFFICIENTS, EXP2_FRACTION_BITS, TANH_BITS

CAP_SHIFT = np.int64(TANH_BITS - meaning.CAP_BITS)

AT = operands_at(meaning.AttentionSoftmax)


class Addends(NamedTuple):
    """The addends of scores: the address of a table [heads, distances], 0 without one."""

    table: Any
    before: Any
    distances: Any


@kernel
def addends(frame, code):
    """The addends of an instruction."""
    before = word(code, AT.before)
    return Addends(word(code, AT.addend + ADDRESS), before, before + 1 + word(code, AT.after))


@kernel
def attention_softmax(
    shared, score_multiplier, score_limit, score_shift, addends, cap_multiplier, cap_shift
):
    """Softmax attention of every row over the keys that it sees."""
    operands = score_multiplier, score_limit, score_shift
    if addends.table != 0:
        attend(softmax_weights_of_sums, far_of_changed, (operands, addends), shared)
    elif cap_shift != 0:
        caps = (operands, (cap_multiplier, cap_shift))
        attend(softmax_weights_of_caps, far_of_changed, caps, shared)
    else:
        attend(softmax_weights, far, operands, shared)


@kernel
def softmax_weights(scores, h, place, operands):
    """Turn scores into weights (A4), in place.  Returns their sum, and the largest score."""
    multiplier, limit, shift = operands
    first = address(scores, np.int32)
    top = largest_score(first, len(scores))
    return weigh(first, len(scores), top, multiplier[h], limit[h], shift), top


@kernel
def far(distance, h, operands):
    """The octaves of a distance of scores."""
    multiplier, _, shift = operands
    return rounding_shift_right(distance * np.int64(multiplier[h]), shift)


@kernel
def far_of_changed(distance, h, operands):
    """As `far`, for scores with addends or a cap."""
    softmax, _ = operands
    return far(distance, h, softmax)


@kernel
def softmax_weights_of_caps(scores, h, place, operands):
    """As `softmax_weights`, for scores with a soft cap."""
    softmax, (multiplier, shift) = operands
    for j in range(len(scores)):
        capped = soft_cap(scores[j], multiplier[h], shift)
        scores[j] = np.int32(rounding_shift_right(capped, CAP_SHIFT))
    return softmax_weights(scores, h, place, softmax)


@kernel
def softmax_weights_of_sums(scores, h, place, operands):
    """As `softmax_weights`, for the sums of scores and their addends."""
    softmax, addends = operands
    row = addends.table + h * addends.distances * 4
    add_by_distance(scores, row, place - addends.before, addends.distances)
    return softmax_weights(scores, h, place, softmax)


@kernel
def add_by_distance(scores, row, first, distances):
    """Add int32 addends to scores, in place.

    `row` is the address of the addends.  Key `first` and the next keys have one each.  The keys
    before them have the first addend, and the keys behind them have the last addend.
    """
    count = len(scores)
    low = min(max(first, 0), count)
    high = min(max(first + distances, 0), count)
    add(scores, 0, low, row, 0)
    add(scores, low, high, row + (low - first) * 4, 1)
    add(scores, high, count, row + (distances - 1) * 4, 0)


@kernel
def add(scores, start, stop, source, step):
    """Add one number to the scores from `start` to `stop`; with a `step` of 1, one number each."""
    if stop <= start:
        return
    part = array(address(scores, np.int32) + start * 4, (stop - start,), np.int32)
    if step == 0:
        number = array(source, (np.int64(1),), np.int32)[0]
        for j in range(len(part)):
            part[j] = np.int32(part[j] + number)
    else:
        numbers = array(source, (stop - start,), np.int32)
        for j in range(len(part)):
            part[j] = np.int32(part[j] + numbers[j])


def weigh(scores: int, count: int, top: int, multiplier: int, limit: int, shift: int) -> int:
    """Turn int32 scores into the weights of `reference.attention_softmax`, and return their sum.

    `top` is the largest score.
    Everything fits in int32, because the Program proves that
    (limit * multiplier + 2^(shift-1)) >> shift is in the range of `exp2_negative`.
    """
    s = view(scores, np.int32, (count,))
    distance = np.minimum(np.int32(top) - s, np.int32(limit))
    product = distance * np.int32(multiplier) + np.int32(1 << (shift - 1))
    s[:] = arithmetic.exp2_negative(product >> np.int32(shift))
    return int(s.sum(dtype=np.int32))


@lowers(weigh)
def _weigh_ir(
    builder: ir.IRBuilder,
    scores: ir.Value,
    count: ir.Value,
    largest: ir.Value,
    multiplier: ir.Value,
    limit: ir.Value,
    shift: ir.Value,
) -> ir.Value:
    top, factor, most, s = (
        splat(builder, builder.trunc(x, I32), KEYS) for x in (largest, multiplier, limit, shift)
    )
    zero = constant(ALL, 0)
    total = variable(builder, zero)
    with eights(builder, scores, count) as (at, counts):
        distance = minimum(builder, builder.sub(top, load(builder, at, ALL)), most)
        product = builder.mul(builder.select(counts, distance, zero), factor)
        z = rounded(builder, product, s)
        weight = builder.select(counts, _exp2_negative(builder, z), zero)
        store(builder, weight, at)
        builder.store(builder.add(builder.load(total), weight), total)
    return builder.sext(sum_lanes(builder, builder.load(total)), I64)


def _exp2_negative(builder: ir.IRBuilder, z: ir.Value) -> ir.Value:
    """`arithmetic.exp2_negative` in every lane."""
    bits = constant(ALL, EXP2_FRACTION_BITS)
    f = builder.and_(z, constant(ALL, (1 << EXP2_FRACTION_BITS) - 1))
    t = constant(ALL, EXP2_COEFFICIENTS[-1])
    for coefficient in EXP2_COEFFICIENTS[-2::-1]:
        t = builder.add(constant(ALL, coefficient), builder.ashr(builder.mul(t, f), bits))
    return rounded(builder, t, builder.add(constant(ALL, 6), builder.ashr(z, bits)))
