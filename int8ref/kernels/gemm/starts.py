"""Conversion of 16-bit start values to 32 bits, one panel at a time."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.kernels.gemm.layout import PANEL
from int8ref.kernels.ir.lowering import I16, I32, lowers, view
from int8ref.kernels.ir.vector import load, loop, offset, splat, store, vector

LANES = 16


def widen(start: int, shift: int, out: int) -> None:
    """int32 out[n] = start[n] * 2^shift, for the int16 start values of a panel."""
    view(out, np.int32, (PANEL,))[:] = view(start, np.int16, (PANEL,)).astype(np.int32) << shift


@lowers(widen)
def _widen_ir(builder: ir.IRBuilder, start: ir.Value, shift: ir.Value, out: ir.Value) -> None:
    bits = splat(builder, builder.trunc(shift, I32), LANES)
    with loop(builder, 0, PANEL, LANES) as n:
        value = load(builder, offset(builder, start, n, 2), vector(I16, LANES))
        value = builder.shl(builder.sext(value, vector(I32, LANES)), bits)
        store(builder, value, offset(builder, out, n, 4))
