"""Proofs of ranges: attention, and the probabilities of tokens."""

from __future__ import annotations

import numpy as np

from int8ref.auditing.given import Given, Results, reciprocal_of
from int8ref.auditing.intervals import Interval
from int8ref.reference.attention import BLOCK_KEYS, MULTIPLIER_BITS, SUM_BITS, WEIGHT_BITS
from int8ref.reference.attention_polynomial import BASE_BITS
from int8ref.reference.attention_polynomial import MAX_SHIFT as MAX_DROP
from int8ref.spec.arithmetic import (
    EXP2_FRACTION_BITS,
    FACTOR_BITS,
    LOG_BITS,
    POWER_BITS,
    POWER_MAX_INPUT,
    TANH_BITS,
)

ONE = 1 << WEIGHT_BITS
CAP = 1 << 20
"""Largest magnitude of a capped score."""


def attention_softmax(given: Given) -> Results:
    i = given.instruction
    score = changed = given.note("s", _score(given))
    if given.has("addend"):
        addend = given.tensor("addend")
        changed = given.note("changed", score + Interval.of(addend.min(axis=1), addend.max(axis=1)))
    elif given.has("cap_multiplier"):
        changed = given.note("changed", Interval.around(CAP))
    most = np.minimum(changed.high - changed.low, given.tensor("score_limit"))
    product = Interval.of(0, most) * given.tensor("score_multiplier")
    given.note("z", product.shifted(i.score_shift))
    below = Interval.of(0, changed.high - changed.low) * given.tensor("score_multiplier")
    return _mean(given, 1 << WEIGHT_BITS, below.shifted(i.score_shift))


def attention_polynomial(given: Given) -> Results:
    i = given.instruction
    score = given.note("s", _score(given))
    x = score + given.tensor("score_bias")
    x = given.note("x", Interval(np.maximum(x.low, 0), np.maximum(x.high, 0)))
    least = given.tensor("score_shift")
    bits = max(x.ends[1].bit_length() - BASE_BITS, 0)
    e = given.note("e", Interval(least, np.maximum(least, bits)))
    u = given.note("u", Interval.of(0, min(x.ends[1], 1 << BASE_BITS)))
    drop = np.minimum(given.tensor("delta_shift") + i.degree * (e.high - least), MAX_DROP)
    delta = Interval.of(given.tensor("delta_multiplier"))
    d = given.note("d", delta.shifted(Interval(given.tensor("delta_shift"), drop)))
    power = Interval.of(0, _power(u.ends[1], i.degree))
    t = given.note("t", power + d)
    g = Interval.of(-WEIGHT_BITS, t.ends[1].bit_length() - WEIGHT_BITS)
    given.note("g", g)
    units = g.ends[1] - g.ends[0] + i.degree * (e.ends[1] - e.ends[0])
    return _mean(given, 1 << (WEIGHT_BITS - 1), Interval.of(0, units << EXP2_FRACTION_BITS))


def log_softmax(given: Given) -> Results:
    i, x, n = given.instruction, given.value("x"), given.width("x")
    low, high = x.ends
    if i.cap is not None:
        low, high = given.note("capped", Interval.around(1 << TANH_BITS)).ends
    z = (Interval.of(0, high - low) * i.multiplier).shifted(i.shift).clamped(0, POWER_MAX_INPUT)
    given.note("z", z)
    given.note("sum", Interval.of(1 << POWER_BITS, n << POWER_BITS))
    norm = given.note("norm", Interval.of(0, (n - 1).bit_length() << LOG_BITS))
    return {"out": (-z - norm).clamped(-POWER_MAX_INPUT, 0)}


def _power(u: int, degree: int) -> int:
    """An upper bound of `attention_polynomial.power`."""
    if degree == 1:
        return u << BASE_BITS
    return 1 << (2 * BASE_BITS)


def _score(given: Given) -> Interval:
    """The range of the scores of each head: [heads]."""
    i = given.instruction
    heads, d = i.heads, i.head_width
    query = given.value("query").columns(i.query_column, i.width, given.width("query"))
    key = given.value("key").columns(i.key_column, i.key_width, given.width("key"))
    group = i.group or 1
    q = Interval(*(end.reshape(heads, d) for end in (query.low, query.high)))
    k = Interval(
        *(np.repeat(end.reshape(heads // group, d), group, axis=0) for end in (key.low, key.high))
    )
    products = q * k
    return Interval(products.low.sum(axis=1), products.high.sum(axis=1))


def _joined(given: Given, largest: int, far: Interval, mean: Interval) -> tuple[Interval, Interval]:
    """The joined sums of blocks.  All weighted sums are sums of weights times a mean of values.

    The largest block has the factor 2^20, so that its sum of weights is in the sum of all.
    """
    given.note("far", Interval.of(*far.ends))
    given.note("f", Interval.of(0, 1 << FACTOR_BITS))
    least, most = largest << FACTOR_BITS, given.keys * ONE << FACTOR_BITS
    given.note("all_sum", Interval.of(least, most))
    given.note("all_acc", mean * most)
    drop = Interval.of(*((end - 1).bit_length() - SUM_BITS for end in (least, most)))
    given.note("drop", drop)
    total = given.note("joined_sum", Interval.of(1 << SUM_BITS - 1, 1 << SUM_BITS))
    # A row with one block keeps its own sums.
    total = Interval.of(largest, total.ends[1])
    return total, given.note("joined_acc", mean * (1 << SUM_BITS))


def _mean(given: Given, largest: int, far: Interval) -> Results:
    """The shared part of attention.

    `largest` is the least value of the largest weight of a block of keys, and `far` is the distance
    of a block from the largest block.
    """
    i = given.instruction
    given.note("w", Interval.of(0, ONE))
    total = given.note("sum", Interval.of(largest, min(given.keys, BLOCK_KEYS) * ONE))
    value = given.value("value").columns(i.value_column, i.key_width, given.width("value"))
    low, high = value.ends
    mean = Interval.of(min(low, 0), max(high, 0))
    acc = given.note("acc", mean * (min(given.keys, BLOCK_KEYS) * ONE))
    if given.keys > BLOCK_KEYS:
        total, acc = _joined(given, largest, far, mean)
    inverse, _ = reciprocal_of(given, total)
    context = given.tensor("context_multiplier")
    least, most = (int(inverse.low) * context, int(inverse.high) * context)
    m = given.note("m", Interval.of(least, most).floor_shifted(MULTIPLIER_BITS))
    given.note("product", Interval.of(*acc.ends) * Interval.of(*m.ends))
    # acc / sum is a mean of values, and m is at most 2^k / sum * context: the sums cancel.
    bound = np.int64(max(-low, high, 0)) * context
    rounded = Interval(-bound, bound).shifted(given.tensor("context_shift"))
    ends = given.note("rounded", Interval.of(*rounded.ends)).clamped(-i.limit, i.limit)
    first, last = ends.ends
    return {"out": Interval.of(0 if low >= 0 else first, 0 if high <= 0 else last)}
