"""Proofs of ranges: products, sums and tables, whose channels are independent of each other."""

from __future__ import annotations

import numpy as np

from int8ref.auditing.given import Given, Results
from int8ref.auditing.intervals import Interval
from int8ref.reference.interpolate import STEP_BITS
from int8ref.reference.pool import MEAN
from int8ref.reference.rescale import DATA_BITS
from int8ref.reference.rotary import ANGLE_BITS
from int8ref.reference.ssru import GATE_BITS
from int8ref.spec.arithmetic import DATA_MAX, WIDE_MAX

BLOCK = 1 << 22
"""Weights that one step converts to int64."""


def linear(given: Given) -> Results:
    """acc of each channel: the positive weights times one end of x, the negative ones times the
    other end.  An input exists that reaches each end, if x is any row of its range."""
    i, weight = given.instruction, given.plain("weight")
    x, inputs = given.value("x"), weight.shape[1]
    low, high = (np.broadcast_to(end, (inputs,)).copy() for end in (x.low, x.high))
    bias = given.tensor("bias") << i.bias_shift
    ends = [bias.copy(), bias.copy()]
    step = max(1, BLOCK // inputs)
    for first in range(0, len(weight), step):
        rows = slice(first, first + step)
        part = weight[rows].astype(np.int64)
        positive, negative = np.maximum(part, 0), np.minimum(part, 0)
        ends[0][rows] += positive @ low + negative @ high
        ends[1][rows] += positive @ high + negative @ low
    acc = given.note("acc", Interval(ends[0], ends[1]))
    return {"out": acc if i.shift is None else given.requantized(acc, i.low, i.high)}


def requantize(given: Given) -> Results:
    limit = given.instruction.limit
    return {"out": given.requantized(given.value("x"), -limit, limit)}


def narrow(given: Given) -> Results:
    return {"out": given.requantized(given.value("x"), -DATA_MAX, DATA_MAX)}


def multiply(given: Given) -> Results:
    limit = given.instruction.limit
    return {"out": given.requantized(given.value("a") * given.value("b"), -limit, limit)}


def match_add(given: Given) -> Results:
    i = given.instruction
    a = given.value("a") * given.tensor("a_multiplier")
    b = (given.value("b") * given.tensor("b_multiplier")) << i.b_shift
    if given.has("exponent"):
        a = a << given.value("exponent")
        b = b + (given.tensor("bias") << i.bias_shift)
    total = given.note("total", a + b)
    return {"out": total.shifted(i.shift).clamped(-i.limit, i.limit)}


def embed(given: Given) -> Results:
    i, table = given.instruction, given.plain("table")
    rows = Interval.of(np.minimum(table.min(axis=0), 0), np.maximum(table.max(axis=0), 0))
    factor = given.tensor("channel_multiplier") if given.has("channel_multiplier") else i.multiplier
    total = rows * factor
    if given.has("position_table"):
        positions = given.plain("position_table")
        total += Interval.of(positions.min(axis=0), positions.max(axis=0)) * i.position_multiplier
    elif given.has("wave"):
        largest = int(np.abs(given.tensor("wave")).max())
        total += Interval.around(largest) * i.position_multiplier
    given.note("y", total)
    out = total.shifted(i.shift).clamped(-DATA_MAX, DATA_MAX)
    return {"out": out, "wide": total.shifted(i.shift - i.wide_bits).clamped(-WIDE_MAX, WIDE_MAX)}


def lookup(given: Given) -> Results:
    """The entries that x can select, for the channels of each block."""
    width, blocks = given.width("x"), given.instruction.blocks or 1
    x, tables = given.value("x"), given.tensor("table").reshape(blocks, 256)
    low, high = (np.broadcast_to(end, (width,)) for end in (x.low, x.high))
    block = np.arange(width) * blocks // width
    taken = [tables[b, a + 128 : c + 129] for b, a, c in zip(block, low, high, strict=True)]
    return {"out": Interval.of([t.min() for t in taken], [t.max() for t in taken])}


def interpolate(given: Given) -> Results:
    """A point between two entries lies between them."""
    table = given.tensor("table")
    low, high = given.value("x").ends
    first, last = (low + (1 << 15)) >> STEP_BITS, (high + (1 << 15)) >> STEP_BITS
    taken = table[first : last + 2]
    total = given.note("total", Interval.of(taken.min(), taken.max()) << STEP_BITS)
    return {"out": total.shifted(STEP_BITS)}


def ssru(given: Given) -> Results:
    """The sum is a mean of the state and of x with weights of 2^15 in all."""
    mean = given.value("state").hull(given.value("x"))
    total = given.note("sum", mean << GATE_BITS)
    following = total.shifted(GATE_BITS)
    return {"next_state": following, "out": following.clamped(0, WIDE_MAX)}


def rescale(given: Given) -> Results:
    i = given.instruction
    x = given.value("x")
    y = given.note("y", Interval(np.maximum(x.low, i.low), np.maximum(x.high, i.low)))
    most = max(y.magnitude.ends[1].bit_length() - DATA_BITS, 0)
    exponent = Interval.of(0, most)
    out = y.clamped(-DATA_MAX, DATA_MAX) if most == 0 else Interval.around(DATA_MAX)
    if y.ends[0] >= 0:
        out = Interval(np.maximum(out.low, 0), out.high)
    return {"out": out, "exponent": exponent}


def rotary(given: Given) -> Results:
    """A rotation keeps the length of a pair: |acc| <= 2^14 sqrt(a^2 + b^2) for exact tables.

    The entries of the tables are rounded, so that the ends of the entries bound the sum.
    """
    x = given.value("x").hull(Interval.of(0))
    c, s = (given.tensor(name) for name in ("cosine", "sine"))
    least, most = x.ends
    pair = Interval.of(least, most)
    turned = pair * Interval.of(c.min(), c.max()) + pair * (
        Interval.of(s.min(), s.max()).hull(Interval.of(-s.max(), -s.min()))
    )
    acc = given.note("acc", turned.hull(pair << ANGLE_BITS))
    return {"out": given.requantized(acc, -DATA_MAX, DATA_MAX)}


def pool(given: Given) -> Results:
    i, x = given.instruction, given.value("x")
    most = given.keys if i.rows == MEAN else 1
    given.note("s", x.hull(x * most))
    given.note("n", Interval.of(1, most))
    mean = (x * given.tensor("multiplier")).shifted(given.tensor("shift"))
    return {"out": mean.clamped(-i.limit, i.limit)}


def append(given: Given) -> Results:
    i = given.instruction
    x = given.value("x").columns(i.column, given.width("history"), given.width("x"))
    return {"next_history": x.hull(given.value("history"))}


def argmax(given: Given) -> Results:
    return {"out": Interval.of(0, given.width("x") - 1)}
