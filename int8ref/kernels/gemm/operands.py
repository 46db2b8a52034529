"""Conversion of rows of the left matrix to the form that the micro-kernels read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llvmlite import ir

from int8ref.kernels.gemm.layout import DEPTH
from int8ref.kernels.gemm.target import OPERANDS, TARGET
from int8ref.kernels.ir.lowering import I8, I16, I64, lowers, view
from int8ref.kernels.ir.vector import constant, load, loop, offset, store, vector
from int8ref.spec.pair_sums import OFFSET


def prepare(x: int, rows: int, depth: int, prepared: int, pitch: int) -> None:
    """Convert rows of `depth` int8 at `x` to rows of u8 = x + 128, s8 = x or s16 = x.

    The new rows lie `pitch` bytes apart.  Each row is padded with zeros to a multiple of 8; the
    weights of the padding are zero too.
    """
    _copy_rows(x, rows, depth, prepared, pitch, TARGET.operand)


@lowers(prepare)
def _prepare_ir(builder: ir.IRBuilder, *arguments: ir.Value) -> None:
    _emit_copy(builder, arguments, TARGET.operand)


def raise_rows(x: int, rows: int, depth: int, raised: int, pitch: int) -> None:
    """Convert rows of `depth` int8 at `x` to rows of u8 = x + 128.

    The new rows lie `pitch` bytes apart.  Each row is padded with zeros to a multiple of 8.
    """
    _copy_rows(x, rows, depth, raised, pitch, "u8")


@lowers(raise_rows)
def _raise_rows_ir(builder: ir.IRBuilder, *arguments: ir.Value) -> None:
    _emit_copy(builder, arguments, "u8")


def _copy_rows(x: int, rows: int, depth: int, copied: int, pitch: int, operand: str) -> None:
    source = view(x, np.int8, (rows, depth))
    for i in range(rows):
        row = view(copied + i * pitch, OPERANDS[operand], (depth + -depth % DEPTH,))
        row[:depth] = source[i].astype(np.int16) + (OFFSET if operand == "u8" else 0)
        row[depth:] = 0


def _emit_copy(builder: ir.IRBuilder, arguments: Sequence[ir.Value], operand: str) -> None:
    x, rows, depth, copied, pitch = arguments
    element = I16 if operand == "s16" else I8
    size = element.width // 8
    whole = builder.and_(depth, ir.Constant(I64, -32))
    filled = builder.and_(builder.add(depth, ir.Constant(I64, DEPTH - 1)), ir.Constant(I64, -DEPTH))
    with loop(builder, 0, rows) as i:
        source = offset(builder, x, builder.mul(i, depth))
        row = offset(builder, copied, builder.mul(i, pitch))
        for lanes, start, stop in ((32, ir.Constant(I64, 0), whole), (1, whole, depth)):
            with loop(builder, start, stop, lanes) as k:
                value = load(builder, offset(builder, source, k), vector(I8, lanes))
                if operand == "s16":
                    value = builder.sext(value, vector(I16, lanes))
                elif operand == "u8":
                    value = builder.add(value, constant(value.type, OFFSET))
                store(builder, value, offset(builder, row, k, size))
        with loop(builder, depth, filled) as k:
            store(builder, constant(element, 0), offset(builder, row, k, size))
