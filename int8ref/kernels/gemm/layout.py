"""The packed layout of weights.

A weight W [N, K] int8 is stored as int8 [N64/S, K8/4, S, 4].  It consists of strips of S output
columns.  A strip consists of groups of four consecutive k.  A group holds the four k of column 0,
then of column 1, and so on.  N64 is N rounded up to a multiple of 64, and K8 is K rounded up to a
multiple of 8; padding is zero.  S is a power of two, at most 64.  It is the number of columns that
a tile of this CPU processes at once (`target`), so that a tile reads its weights sequentially.  A
panel is 64 columns, in one or more strips.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from int8ref.spec.pair_sums import QUAD, SPAN

PANEL = 64  # output columns in a panel
GROUP = QUAD  # consecutive k that one dot-product instruction consumes
DEPTH = SPAN  # K is padded to a multiple of DEPTH: a turn of the innermost loop takes two groups
WIDE = -1
"""Start shift of 32-bit start values.  16-bit start values have the shift of `narrow`."""


def padded(size: int, step: int) -> int:
    """`size` rounded up to a multiple of `step`."""
    return -(-size // step) * step


def packed_shape(n: int, k: int) -> tuple[int, int, int, int]:
    """The shape of a packed weight [n, k]."""
    from int8ref.kernels.gemm.target import TARGET  # late, because it asks LLVM for the CPU

    columns = TARGET.strip
    return padded(n, PANEL) // columns, padded(k, DEPTH) // GROUP, columns, GROUP


def pack(weight: NDArray[np.int8]) -> NDArray[np.int8]:
    """Weight [N, K] int8 -> packed int8 [N64/S, K8/4, S, 4], zero padded.

    The result starts at a 64-byte boundary, for speed only; the kernels accept any address.  Raises
    ValueError if `weight` is not a two-dimensional int8 array with at least one element.
    """
    if weight.ndim != 2 or weight.dtype != np.int8 or weight.size == 0:
        raise ValueError(f"weight: expected int8 [N, K], got {weight.dtype} {weight.shape}")
    n, k = weight.shape
    strips, groups, columns, _ = shape = packed_shape(n, k)
    plain = np.zeros((strips * columns, groups * GROUP), np.int8)
    plain[:n, :k] = weight
    room = np.empty(plain.size + 63, np.int8)
    start = -room.ctypes.data % 64
    packed = room[start : start + plain.size].reshape(shape)
    packed[...] = plain.reshape(strips, columns, groups, GROUP).transpose(0, 2, 1, 3)
    return packed


def unpack(packed: NDArray[np.int8], n: int, k: int) -> NDArray[np.int8]:
    """The inverse of `pack`: unpack(pack(w), *w.shape) == w.

    Raises ValueError if `packed` does not have the shape of a packed weight [n, k].
    """
    shape = packed_shape(n, k)
    if packed.shape != shape or packed.dtype != np.int8:
        raise ValueError(
            f"packed: expected int8 {shape} for a weight [{n}, {k}], "
            f"got {packed.dtype} {packed.shape}"
        )
    plain = packed.transpose(0, 2, 1, 3).reshape(shape[0] * shape[2], shape[1] * GROUP)
    return np.ascontiguousarray(plain[:n, :k])


def start_values(
    weight: NDArray[np.int8] | NDArray[np.int32],
    bias: NDArray[np.int32],
    offset: int | None = None,
) -> NDArray[np.int32]:
    """The first values of the accumulators on this CPU: int32 [ceil(N/64) * 64].

        start[n] = bias[n] - offset * sum_k weight[n, k]   (mod 2^32), zero for n >= N

    `offset` is the number that the kernel adds to the left operand.  Its default is 128 if the
    dot-product instruction reads the left operand as u8, else 0 (see `target`).  `weight` is int8
    [N, K], or its column sums sum_k, int32 [N].

    The result depends on the CPU.  Store the bias and the column sums in a file, never this result.
    Raises ValueError if the shapes or types do not fit.
    """
    if weight.ndim == 2 and weight.dtype == np.int8:
        sums = weight.sum(axis=1, dtype=np.int32)
    elif weight.ndim == 1 and weight.dtype == np.int32:
        sums = weight.astype(np.int32)
    else:
        raise ValueError(
            "weight: expected int8 [N, K] or its column sums int32 [N], "
            f"got {weight.dtype} {weight.shape}"
        )
    if bias.dtype != np.int32 or bias.shape != sums.shape:
        raise ValueError(f"bias: expected int32 {sums.shape}, got {bias.dtype} {bias.shape}")
    from int8ref.kernels.gemm.target import TARGET  # late, because it asks LLVM for the CPU

    start = np.zeros(padded(len(sums), PANEL), np.int32)
    raised = TARGET.offset if offset is None else offset
    start[: len(sums)] = bias - np.int32(raised) * sums
    return start


def narrow(start: NDArray[np.int32], shift: int) -> NDArray[np.int16] | None:
    """Start values as int16 in units of 2^shift; None if they do not fit exactly."""
    units = (start >> np.int32(shift)).astype(np.int16)
    return units if np.array_equal(units.astype(np.int32) << np.int32(shift), start) else None
