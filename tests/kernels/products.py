"""The products of `kernels.gemm` over arrays.

x          int8 [M, K]
packed     `layout.pack(weight)`
start      `layout.start_values(weight, bias)`
workspace  uint8 of `workspace_bytes(M, K)` elements
acc        the exact sums (`gemm.driver`)
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from int8ref.kernels.gemm.chosen import Chosen, row_chosen
from int8ref.kernels.gemm.coarse import CoarseProduct, coarse_argmax
from int8ref.kernels.gemm.driver import (
    ARGMAX,
    COPY,
    REQUANTIZE,
    SHIFT,
    Epilogue,
    Product,
    gemm,
)
from int8ref.kernels.gemm.layout import WIDE, narrow, pack, start_values, unpack
from int8ref.kernels.gemm.scratch import workspace_bytes
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address

__all__ = ["narrow", "pack", "start_values", "unpack", "workspace_bytes"]


@kernel
def _product(quads, x, packed, start, start_shift, columns):
    rows, depth = x.shape
    left, weight = address(x, np.int8), address(packed, np.int8)
    return Product(quads, left, rows, depth, weight, start, start_shift, columns, 0, columns)


@kernel
def _sums(quads, x, packed, start, start_shift, out, workspace):
    product = _product(quads, x, packed, start, start_shift, out.shape[1])
    done = Epilogue(COPY, 0, 0, 0, 0, address(out, np.int32), 0)
    gemm(product, done, address(workspace, np.uint8))


@kernel
def gemm_i32(x, packed, start, out, workspace):
    """out[m, n] = acc[m, n], int32 [M, N]."""
    _sums(0, x, packed, address(start, np.int32), WIDE, out, workspace)


@kernel
def gemm_i32_narrow(x, packed, start, start_shift, out, workspace):
    """`gemm_i32` with 16-bit start values in units of 2^start_shift."""
    _sums(0, x, packed, address(start, np.int16), start_shift, out, workspace)


@kernel
def gemm_quads(x, packed, start, out, workspace):
    """`gemm_i32` of a weight that `pair_sums.fits`.  The start values include OFFSET."""
    _sums(1, x, packed, address(start, np.int32), WIDE, out, workspace)


@kernel
def gemm_requantize(x, packed, start, multiplier, shift, low, high, out, workspace):
    """out int8 [M, N] = acc times multiplier[n] * 2^-shift, in [low, high]."""
    product = _product(0, x, packed, address(start, np.int32), WIDE, out.shape[1])
    factors = address(multiplier, np.int16), address(shift, np.int8)
    done = Epilogue(REQUANTIZE, factors[0], factors[1], low, high, address(out, np.int8), 0)
    gemm(product, done, address(workspace, np.uint8))


@kernel
def gemm_shift(x, packed, start, shift, low, high, out, workspace):
    """out int8 [M, N] = acc times 2^-shift[n], in [low, high]."""
    product = _product(0, x, packed, address(start, np.int32), WIDE, out.shape[1])
    done = Epilogue(SHIFT, 0, address(shift, np.int8), low, high, address(out, np.int8), 0)
    gemm(product, done, address(workspace, np.uint8))


@kernel
def gemm_argmax(x, packed, start, columns, out_index, out_value, workspace):
    """out_index[m] = the lowest n < columns with the largest acc[m, n], out_value[m] = that acc."""
    product = _product(0, x, packed, address(start, np.int32), WIDE, columns)
    found = address(out_index, np.int32), address(out_value, np.int32)
    done = Epilogue(ARGMAX, 0, 0, 0, 0, found[0], found[1])
    gemm(product, done, address(workspace, np.uint8))


@kernel
def gemm_chosen(x, weight, start, tokens, out, workspace):
    """out[i] = acc[tokens[i]] of one row.  `weight` is not packed."""
    chosen = Chosen(
        x=address(x, np.int8),
        depth=x.shape[0],
        weight=address(weight, np.int8),
        start=address(start, np.int32),
        tokens=address(tokens, np.int32),
        count=tokens.shape[0],
    )
    row_chosen(chosen, address(out, np.int32), address(workspace, np.uint8))


@kernel
def gemm_coarse_argmax(
    x, coarse, coarse_start, length, weight, start, out_index, out_value, workspace
):
    """`gemm_argmax` with the coarse weights of `coarse_layout.pack_coarse`."""
    product = CoarseProduct(
        x=address(x, np.int8),
        rows=x.shape[0],
        depth=x.shape[1],
        coarse=address(coarse, np.int8),
        coarse_start=address(coarse_start, np.int32),
        length=length,
        weight=address(weight, np.int8),
        start=address(start, np.int32),
        columns=weight.shape[0],
    )
    found = address(out_index, np.int32), address(out_value, np.int32)
    coarse_argmax(product, found[0], found[1], address(workspace, np.uint8))
