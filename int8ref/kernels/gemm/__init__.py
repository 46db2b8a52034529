"""Integer matrix multiplication, int8 by int8, exact on every CPU: see `driver` and `chosen` for
the kernels, `layout` for the packed weights, `target` for the instruction sets, `coarse` for the
largest output of each row without most outputs.

The kernels are imported when first used, because packing a weight needs no compiler.
"""

import importlib
from typing import Any

from int8ref.kernels.gemm.layout import narrow, pack, start_values, unpack

KERNELS = {
    "gemm_argmax": "driver",
    "gemm_chosen": "chosen",
    "gemm_coarse_argmax": "coarse",
    "gemm_i32": "driver",
    "gemm_i32_narrow": "driver",
    "gemm_quads": "driver",
    "gemm_requantize": "driver",
    "gemm_shift": "driver",
    "workspace_bytes": "driver",
}
"""Public kernels, and the module each is in."""

__all__ = ["KERNELS", "narrow", "pack", "start_values", "unpack"]


def __getattr__(name: str) -> Any:
    if name not in KERNELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"int8ref.kernels.gemm.{KERNELS[name]}"), name)
