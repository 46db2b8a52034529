"""Compiled twin of `int8ref.reference.linear`."""

from __future__ import annotations

from int8ref.abi.frame import ADDRESS, QUADS, START_SHIFT, WIDTH, operands_at
from int8ref.kernels.gemm.driver import COPY, REQUANTIZE, SHIFT, Epilogue, Product, gemm
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import address_of, rows_of, word, workspace
from int8ref.reference.linear import Linear

AT = operands_at(Linear)


@kernel
def step(frame, code):
    """Run a linear instruction, with accumulators, shifted data or requantised data as its result.

    The weight is packed, and `bias` holds its start values (`machine.model.prepare`).
    """
    shift, multiplier = word(code, AT.shift + ADDRESS), word(code, AT.multiplier + ADDRESS)
    kind = COPY if shift == 0 else SHIFT if multiplier == 0 else REQUANTIZE
    product = Product(
        quads=word(code, QUADS),
        x=address_of(frame, code, AT.x),
        rows=rows_of(frame, code, AT.x),
        depth=word(code, AT.x + WIDTH),
        packed=word(code, AT.weight + ADDRESS),
        start=word(code, AT.bias + ADDRESS),
        start_shift=word(code, START_SHIFT),
        columns=word(code, AT.out + WIDTH),
    )
    out = address_of(frame, code, AT.out)
    limits = word(code, AT.low), word(code, AT.high)
    epilogue = Epilogue(kind, multiplier, shift, limits[0], limits[1], out, 0)
    gemm(product, epilogue, workspace(frame, code))
