"""Proofs of ranges: norms, whose rows have one deviation each."""

from __future__ import annotations

import numpy as np

from int8ref.auditing.given import Given, Results, reciprocal_of
from int8ref.auditing.intervals import Interval
from int8ref.reference import layer_norm_l1 as mean_magnitude
from int8ref.reference import layer_norm_l2 as root_of_squares
from int8ref.reference.layer_norm import FRACTION_BITS
from int8ref.reference.normalize import ROOT_BITS
from int8ref.reference.rms_norm_branch import EPSILON_BITS, WIDE_BITS
from int8ref.spec import arithmetic
from int8ref.spec.arithmetic import DATA_MAX, WIDE_MAX


def layer_norm_l2(given: Given) -> Results:
    i, x, n = given.instruction, given.value("x"), given.width("x")
    low, high = x.ends
    total = _sum(x, n)
    given.note("sum", total)
    given.note("squares", _sum(x.square, n))
    variance = n * n * (high - low) ** 2 // 4 + i.epsilon
    given.note("v", Interval.of(i.epsilon, variance))
    return _scaled(
        given, _centred(low, high, n), isqrt(variance), root_of_squares.normalized_bound(n)
    )


def layer_norm_l1(given: Given) -> Results:
    i, n = given.instruction, given.width("x")
    low, high = given.value("x").ends
    most = n * n * (high - low) // 2
    given.note("sum", Interval.of(0, most))
    deviation = -(-most // n) + i.epsilon
    return _scaled(given, _centred(low, high, n), deviation, mean_magnitude.normalized_bound(n))


def rms_norm(given: Given) -> Results:
    i, x, n = given.instruction, given.value("x"), given.width("x")
    squares = given.note("squares", _sum(x.square, n))
    v = given.note("v", squares * n + i.epsilon)
    low, high = x.ends
    return _scaled(
        given,
        Interval.of(n * low, n * high),
        isqrt(v.ends[1]),
        root_of_squares.normalized_bound(n),
    )


def rms_norm_heads(given: Given) -> Results:
    i, d = given.instruction, given.instruction.head_width
    x, wide = given.value("x"), given.width("x")
    part = Interval.of(*x.columns(i.column, i.heads * d, wide).ends)
    squares = given.note("squares", part.square * d)
    v = given.note("v", squares * d + i.epsilon)
    s = given.note("s", Interval.of(1, max(isqrt(v.ends[1]), 1)))
    reciprocal_of(given, s)
    t = given.note("t", Interval.around(root_of_squares.normalized_bound(d)))
    y = given.note("y", t * given.tensor("gain"))
    heads = y.shifted(i.shift).clamped(-WIDE_MAX, WIDE_MAX)
    return {"out": x.hull(Interval.of(*heads.ends))}


def rms_norm_branch(given: Given) -> Results:
    i, n = given.instruction, given.width("x")
    y = given.value("x") * given.tensor("multiplier")
    if given.has("exponent"):
        y = (y << given.value("exponent")) + (given.tensor("bias") << i.bias_shift)
    given.note("y", y)
    e = given.note("e", Interval.of(0, max(y.magnitude.ends[1].bit_length() - WIDE_BITS, 0)))
    u = y.clamped(-WIDE_MAX, WIDE_MAX) if e.ends[1] == 0 else Interval.around(WIDE_MAX)
    given.note("u", u)
    raised = i.epsilon << min(i.epsilon_shift, EPSILON_BITS)
    largest = u.magnitude.ends[1]
    v = given.note("v", Interval.of(0, n * n * largest * largest + raised))
    s = given.note("s", Interval.of(1, max(isqrt(v.ends[1]), 1)))
    reciprocal_of(given, s)
    t = given.note("t", Interval.around(root_of_squares.normalized_bound(n)))
    y = t * given.tensor("gain")
    return {"out": y.shifted(i.shift).clamped(-WIDE_MAX, WIDE_MAX)}


def normalize(given: Given) -> Results:
    x, n = given.value("x"), given.width("x")
    squares = given.note("squares", _sum(x.square, n))
    s = Interval.of(1, max(isqrt(squares.ends[1] << (2 * ROOT_BITS)), 1))
    reciprocal_of(given, given.note("s", s))
    return {"out": Interval.around(DATA_MAX)}


def isqrt(x: int) -> int:
    """floor(sqrt(x)).  In a valid Program, x is below 2^62."""
    return int(arithmetic.isqrt(np.array([min(x, 2**62 - 1)]))[0])


def _sum(x: Interval, n: int) -> Interval:
    """The range of the sum of a row."""
    low, high = (int(np.broadcast_to(end, (n,)).sum()) for end in (x.low, x.high))
    return Interval.of(low, high)


def _centred(low: int, high: int, n: int) -> Interval:
    """The range of n * x - sum(x)."""
    return Interval.around((n - 1) * (high - low))


def _scaled(given: Given, c: Interval, deviation: int, bound: int) -> Results:
    """The shared part of the layer norms: see `layer_norm.divide_and_scale`."""
    i = given.instruction
    given.note("c", c)
    s = given.note("s", Interval.of(1, max(deviation, 1)))
    reciprocal_of(given, s)
    t = given.note("t", Interval.around(bound))
    y = given.note("y", t * given.tensor("gain") + (given.tensor("bias") << i.bias_shift))
    found = {"out": y.shifted(i.shift).clamped(-DATA_MAX, DATA_MAX)}
    if i.wide is not None:
        found["wide"] = y.shifted(i.shift - i.wide_bits).clamped(-WIDE_MAX, WIDE_MAX)
    return found


assert FRACTION_BITS == 10
