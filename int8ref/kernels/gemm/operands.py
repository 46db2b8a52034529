"""Bringing rows of the left matrix into the form that the micro-kernels read."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.kernels.gemm.layout import DEPTH
from int8ref.kernels.gemm.lowering import I8, I16, I64, lowers, view
from int8ref.kernels.gemm.target import OPERAND, TARGET
from int8ref.kernels.gemm.vector import constant, load, loop, offset, store, vector


def prepare(x: int, rows: int, depth: int, prepared: int, pitch: int) -> None:
    """Rows of `depth` int8 at `x` -> rows of u8 = x + 128, s8 = x or s16 = x, `pitch` bytes apart.

    Each row is filled up to a multiple of 8 with zeros; the weights they meet are zero too.
    """
    source = view(x, np.int8, (rows, depth))
    for i in range(rows):
        row = view(prepared + i * pitch, OPERAND, (depth + -depth % DEPTH,))
        row[:depth] = source[i].astype(np.int16) + TARGET.offset
        row[depth:] = 0


@lowers(prepare)
def _prepare_ir(
    builder: ir.IRBuilder,
    x: ir.Value,
    rows: ir.Value,
    depth: ir.Value,
    prepared: ir.Value,
    pitch: ir.Value,
) -> None:
    element = I16 if TARGET.operand == "s16" else I8
    whole = builder.and_(depth, ir.Constant(I64, -32))
    filled = builder.and_(builder.add(depth, ir.Constant(I64, DEPTH - 1)), ir.Constant(I64, -DEPTH))
    with loop(builder, 0, rows) as i:
        source = offset(builder, x, builder.mul(i, depth))
        row = offset(builder, prepared, builder.mul(i, pitch))
        for lanes, start, stop in ((32, ir.Constant(I64, 0), whole), (1, whole, depth)):
            with loop(builder, start, stop, lanes) as k:
                value = load(builder, offset(builder, source, k), vector(I8, lanes))
                if TARGET.operand == "s16":
                    value = builder.sext(value, vector(I16, lanes))
                else:
                    value = builder.add(value, constant(value.type, TARGET.offset))
                store(builder, value, offset(builder, row, k, TARGET.operand_bytes))
        with loop(builder, depth, filled) as k:
            store(builder, constant(element, 0), offset(builder, row, k, TARGET.operand_bytes))
