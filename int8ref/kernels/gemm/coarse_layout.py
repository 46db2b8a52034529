"""Coarse weights, with which the search for the largest output skips most columns.

A weight is the sum of a coarse part and a small rest:

    weight[n, k] = STEP * coarse[n, k] + rest[n, k],   |coarse| <= 32, |rest| <= 2

Let c[m, n] = bias[n] + STEP * sum_k x[m, k] * coarse[n, k].  The Cauchy-Schwarz inequality bounds
every output:

    acc[m, n] <= c[m, n] + |x[m]| * max_n |rest[n]|

The bound holds in integers too, because both lengths are rounded up.  A column whose bound is below
a known output cannot have the largest output.  The coarse sums are cheap: x is raised to u8, and
vpmaddubsw adds pairs of products in 16 bits.  Two pairs fit in 16 bits, because
2 * 2 * 255 * 32 = 32640.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from int8ref.kernels.gemm.layout import DEPTH, GROUP, padded
from int8ref.kernels.gemm.quads import raised_pitch
from int8ref.kernels.gemm.target import TARGET
from int8ref.spec.arithmetic import isqrt
from int8ref.spec.pair_sums import OFFSET

STEP = 4
REGISTERS = 2  # registers of a block
BLOCK = REGISTERS * TARGET.pair_columns
"""Number of columns that share a maximum."""
COARSE_ROWS = 32  # rows that are searched at once, so that their maxima stay in the L2 cache
ALIGNMENT = 64
MAX_DEPTH = 1 << 15
MAX_BIAS = 1 << 30
"""With MAX_DEPTH and MAX_BIAS no coarse sum leaves int32: STEP * 32 * 128 * 2^15 + 2^30 < 2^31."""


class Coarse(msgspec.Struct, frozen=True, eq=False):
    """The packed coarse weights.

    weight   int8 [ceil(N/BLOCK) * REGISTERS, K8/4, columns of a register, 4], zero padded
    start    int32 [ceil(N/BLOCK) * BLOCK]: bias[n] - STEP * 128 * sum_k coarse[n, k]; padding -2^31
    length   the largest |rest[n]|, rounded up
    """

    weight: NDArray[np.int8]
    start: NDArray[np.int32]
    length: int


def split(weight: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The coarse part floor((weight + 2) / 4) and the rest, computed in 8 bits."""
    coarse: NDArray[np.int8] = (weight >> np.int8(2)) + ((weight >> np.int8(1)) & np.int8(1))
    return coarse, np.subtract(weight, coarse << np.int8(2), dtype=np.int8)


def useful(depth: int, bias: NDArray[np.int32]) -> bool:
    """Whether the search with coarse weights is possible and faster.

    It is slower on a CPU whose dot products are as fast as coarse products.  It is not possible
    beyond MAX_DEPTH and MAX_BIAS.
    """
    largest = np.abs(bias.astype(np.int64)).max()
    return bool(TARGET.pair_products and depth <= MAX_DEPTH and largest <= MAX_BIAS)


def coarse_shape(n: int, k: int) -> tuple[int, int, int, int]:
    """Shape of the packed coarse weights of [n, k]."""
    columns = TARGET.pair_columns
    return padded(n, BLOCK) // columns, padded(k, DEPTH) // GROUP, columns, GROUP


def pack_coarse(weight: NDArray[np.int8], bias: NDArray[np.int32]) -> Coarse:
    """The coarse weights of int8 [N, K] with bias int32 [N]; see `useful`."""
    n, k = weight.shape
    coarse, rest = split(weight)
    registers, groups, columns, _ = coarse_shape(n, k)
    rows = registers * columns
    plain = np.zeros((rows, groups * GROUP), np.int8)
    plain[:n, :k] = coarse
    grouped = plain.reshape(registers, columns, groups, GROUP)
    start = np.full(rows, -(2**31), np.int32)
    start[:n] = bias - np.int32(STEP * OFFSET) * coarse.sum(axis=1, dtype=np.int32)
    squares = (rest * rest).sum(axis=1, dtype=np.int64)
    packed = np.ascontiguousarray(grouped.transpose(0, 2, 1, 3))
    return Coarse(packed, start, int(isqrt(squares).max()) + 1)


def coarse_workspace(coarse: Coarse) -> int:
    """Bytes of scratch memory for a search with these weights, for any number of rows."""
    blocks, depth = len(coarse.start) // BLOCK, coarse.weight.shape[1] * GROUP
    row, sums = 2 * depth + 64, 4 * BLOCK
    size: int = ALIGNMENT + COARSE_ROWS * (raised_pitch(depth) + 4 * blocks) + row + sums
    return size
