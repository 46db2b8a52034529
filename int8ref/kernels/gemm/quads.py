"""Sums of four products in 16 bits, where a CPU and a weight have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from int8ref.kernels.gemm.layout import DEPTH
from int8ref.spec.pair_sums import fits

PAIRS = 2  # pairs of products that are added up in 16 bits


def usable(weight: NDArray[np.int8]) -> bool:
    """Whether this CPU is faster with sums of four products in 16 bits, and the weight has them."""
    from int8ref.kernels.gemm.target import TARGET  # asks LLVM what CPU this is

    return bool(TARGET.pair_products) and fits(weight)


def raised_pitch(depth: int) -> int:
    """Bytes from one raised row to the next: 64 more than it holds."""
    return (depth + DEPTH - 1) // DEPTH * DEPTH + 64
