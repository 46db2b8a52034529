"""Copies of bytes."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.kernels.ir.lowering import I8, lowers, view
from int8ref.kernels.ir.vector import load, loop, offset, pieces, store, vector

LANES = (64, 8)
"""Bytes that one load copies."""


def copy_bytes(source: int, target: int, count: int) -> None:
    """target[i] = source[i] for `count` bytes; source and target do not overlap."""
    view(target, np.int8, (count,))[:] = view(source, np.int8, (count,))


@lowers(copy_bytes)
def _copy_bytes_ir(
    builder: ir.IRBuilder, source: ir.Value, target: ir.Value, count: ir.Value
) -> None:
    for lanes, start, stop in pieces(builder, count, *LANES):
        with loop(builder, start, stop, lanes) as i:
            value = load(builder, offset(builder, source, i), vector(I8, lanes))
            store(builder, value, offset(builder, target, i))
