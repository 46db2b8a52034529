"""A matrix product that returns the index of the largest output of each row.

It is the kernel of `abi.fused.LinearArgmax`.
"""

from __future__ import annotations

from int8ref.abi.frame import operands_at
from int8ref.abi.fused import LinearArgmax
from int8ref.kernels.gemm.driver import ARGMAX, Epilogue, gemm
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.linear import product_of
from int8ref.kernels.views import address_of, word, workspace

AT = operands_at(LinearArgmax)


@kernel
def step(frame, code):
    """Run a linear_argmax instruction; the largest outputs are in scratch memory."""
    product = product_of(frame, code, word(code, AT.columns))
    largest, out = workspace(frame, code), address_of(frame, code, AT.out)
    gemm(product, Epilogue(ARGMAX, 0, 0, 0, 0, out, largest), largest + 4 * product.rows)
