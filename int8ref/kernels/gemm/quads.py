"""Sums of four products in 16 bits: whether to use them, for a CPU and a weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from int8ref.kernels.gemm.layout import DEPTH
from int8ref.spec.pair_sums import fits

PAIRS = 2  # pairs of products in a 16-bit sum


def usable(weight: NDArray[np.int8]) -> bool:
    """Whether this CPU is faster with sums of four products in 16 bits, and they are exact for
    `weight`."""
    from int8ref.kernels.gemm.target import TARGET  # late, because it asks LLVM for the CPU

    return bool(TARGET.pair_products) and fits(weight)


def raised_pitch(depth: int) -> int:
    """Bytes from one raised row to the next: 64 more than the row holds."""
    return (depth + DEPTH - 1) // DEPTH * DEPTH + 64
