"""One row of a packed weight, for a table of embeddings that is also the output matrix."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.kernels.gemm.layout import DEPTH, GROUP, padded
from int8ref.kernels.gemm.target import TARGET
from int8ref.kernels.ir.lowering import I32, I64, lowers, view
from int8ref.kernels.ir.vector import load, loop, offset, store


def unpack_row(packed: int, depth: int, row: int, out: int) -> None:
    """int8 out[k] = weight[row, k], for a weight of `depth` columns from `layout.pack`.

    `out` must have room for `depth` rounded up to a multiple of 8.
    """
    columns, groups = TARGET.strip, padded(depth, DEPTH) // GROUP
    strip = view(
        packed + row // columns * columns * groups * GROUP, np.int8, (groups, columns, GROUP)
    )
    view(out, np.int8, (groups * GROUP,))[:] = strip[:, row % columns].ravel()


@lowers(unpack_row)
def _unpack_row_ir(
    builder: ir.IRBuilder, packed: ir.Value, depth: ir.Value, row: ir.Value, out: ir.Value
) -> None:
    columns = TARGET.strip
    filled = builder.and_(builder.add(depth, I64(DEPTH - 1)), I64(-DEPTH))
    before = builder.and_(row, I64(-columns))
    strip = offset(builder, packed, builder.mul(before, filled))
    first = offset(builder, strip, builder.and_(row, I64(columns - 1)), GROUP)
    with loop(builder, 0, filled, GROUP) as k:
        piece = load(builder, offset(builder, first, k, columns), I32)
        store(builder, piece, offset(builder, out, k))
