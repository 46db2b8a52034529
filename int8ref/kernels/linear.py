"""Compiled twin of `int8ref.reference.linear`."""

from __future__ import annotations

from int8ref.abi.frame import ADDRESS, QUADS, START_SHIFT, WIDTH, operands_at
from int8ref.kernels.gemm.driver import COPY, REQUANTIZE, SHIFT, Epilogue, Product, gemm
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import address_of, rows_of, word, workspace
from int8ref.reference.linear import Linear

AT = operands_at(Linear)


@kernel
def product_of(frame, code, columns):
    """The product of an instruction with the operands of `Linear`.

    The weight is packed, and `bias` holds its start values (`machine.model.prepare`).
    """
    x, depth = address_of(frame, code, AT.x), word(code, AT.x + WIDTH)
    weight, start = word(code, AT.weight + ADDRESS), word(code, AT.bias + ADDRESS)
    quads, start_shift = word(code, QUADS), word(code, START_SHIFT)
    rows = rows_of(frame, code, AT.x)
    return Product(quads, x, rows, depth, weight, start, start_shift, columns)


@kernel
def step(frame, code):
    """Run a linear instruction: the accumulators, shifted data, or data on any other scale."""
    shift, multiplier = word(code, AT.shift + ADDRESS), word(code, AT.multiplier + ADDRESS)
    kind = COPY if shift == 0 else SHIFT if multiplier == 0 else REQUANTIZE
    low, high = word(code, AT.low), word(code, AT.high)
    done = Epilogue(kind, multiplier, shift, low, high, address_of(frame, code, AT.out), 0)
    gemm(product_of(frame, code, word(code, AT.out + WIDTH)), done, workspace(frame, code))
