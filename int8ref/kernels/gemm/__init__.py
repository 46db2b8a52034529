"""Integer matrix multiplication, int8 by int8, exact on every CPU: see `driver` for the kernels,
`layout` for the packed weights, `target` for the instruction sets."""

from int8ref.kernels.gemm.driver import (
    gemm_argmax,
    gemm_i32,
    gemm_requantize,
    gemm_shift,
    workspace_bytes,
)
from int8ref.kernels.gemm.layout import pack, start_values, unpack

__all__ = [
    "gemm_argmax",
    "gemm_i32",
    "gemm_requantize",
    "gemm_shift",
    "pack",
    "start_values",
    "unpack",
    "workspace_bytes",
]
