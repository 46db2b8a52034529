"""A matrix product that returns the index of the largest output of each row.

It is the kernel of `abi.fused.LinearArgmax`.
"""

from __future__ import annotations

from int8ref.abi.frame import ADDRESS, QUADS, START_SHIFT, WIDTH, operands_at
from int8ref.abi.fused import LinearArgmax
from int8ref.kernels.gemm.driver import ARGMAX, Epilogue, Product, gemm
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import address_of, rows_of, word, workspace

AT = operands_at(LinearArgmax)


@kernel
def step(frame, code):
    """Run a linear_argmax instruction.  The scratch memory holds the largest outputs."""
    product = Product(
        quads=word(code, QUADS),
        x=address_of(frame, code, AT.x),
        rows=rows_of(frame, code, AT.x),
        depth=word(code, AT.x + WIDTH),
        packed=word(code, AT.weight + ADDRESS),
        start=word(code, AT.start + ADDRESS),
        start_shift=word(code, START_SHIFT),
        columns=word(code, AT.columns),
    )
    largest, out = workspace(frame, code), address_of(frame, code, AT.out)
    gemm(product, Epilogue(ARGMAX, 0, 0, 0, 0, out, largest), largest + 4 * product.rows)
