"""The index of the largest output of each row of a product, by coarse weights.

It is the kernel of `abi.fused.LinearCoarseArgmax`.
"""

from __future__ import annotations

from int8ref.abi.frame import ADDRESS, WIDTH, operands_at
from int8ref.abi.fused import LinearCoarseArgmax
from int8ref.kernels.gemm.coarse import CoarseProduct, coarse_argmax
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import address_of, rows_of, word, workspace

AT = operands_at(LinearCoarseArgmax)


@kernel
def step(frame, code):
    """Run a linear_coarse_argmax instruction.  The scratch memory holds the largest outputs."""
    product = CoarseProduct(
        x=address_of(frame, code, AT.x),
        rows=rows_of(frame, code, AT.x),
        depth=word(code, AT.x + WIDTH),
        coarse=word(code, AT.coarse + ADDRESS),
        coarse_start=word(code, AT.coarse_start + ADDRESS),
        length=word(code, AT.length),
        weight=word(code, AT.weight + ADDRESS),
        start=word(code, AT.start + ADDRESS),
        columns=word(code, AT.columns),
    )
    largest = workspace(frame, code)
    coarse_argmax(product, address_of(frame, code, AT.out), largest, largest + 4 * product.rows)
