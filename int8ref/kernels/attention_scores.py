"""The scores of a row and head, which become its weights, eight at a time.

Their memory holds a multiple of eight numbers.  The numbers behind the last score are undefined.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from llvmlite import ir

from int8ref.kernels.ir.lowering import I32, I64, lowers, view
from int8ref.kernels.ir.vector import (
    constant,
    greatest_lane,
    load,
    loop,
    maximum,
    offset,
    splat,
    variable,
    vector,
)

KEYS = 8
"""Scores that are computed or weighed at once."""
ALL = vector(I32, KEYS)
LOWEST = -(2**31)


def largest_score(scores: int, count: int) -> int:
    """The largest of `count` int32 scores; `count` is at least 1."""
    return int(view(scores, np.int32, (count,)).max())


@lowers(largest_score)
def largest_score_ir(builder: ir.IRBuilder, scores: ir.Value, count: ir.Value) -> ir.Value:
    top = variable(builder, constant(ALL, LOWEST))
    with eights(builder, scores, count) as (at, counts):
        score = builder.select(counts, load(builder, at, ALL), constant(ALL, LOWEST))
        builder.store(maximum(builder, builder.load(top), score), top)
    return builder.sext(greatest_lane(builder, builder.load(top)), I64)


def rounded(builder: ir.IRBuilder, x: ir.Value, shift: ir.Value) -> ir.Value:
    """`arithmetic.rounding_shift_right` in every int32 lane; the sum must not overflow."""
    one = constant(ALL, 1)
    half = builder.lshr(builder.shl(one, shift), one)
    return builder.ashr(builder.add(x, half), shift)


@contextmanager
def eights(
    builder: ir.IRBuilder, scores: ir.Value, count: ir.Value
) -> Iterator[tuple[ir.Value, ir.Value]]:
    """A loop over eight scores at a time: yields their address, and which of them count."""
    lanes = ir.Constant(ALL, list(range(KEYS)))
    with loop(builder, 0, count, KEYS) as j:
        left = builder.trunc(builder.sub(count, j), I32)
        counts = builder.icmp_signed("<", lanes, splat(builder, left, KEYS))
        yield offset(builder, scores, j, 4), counts
