"""The packed weight layout.

A weight W [N, K] int8 is stored as int8 [N64/S, K8/4, S, 4]: strips of S output columns, inside a
strip groups of four consecutive k, inside a group the four k of column 0, of column 1, and so on.
N64 is N rounded up to a multiple of 64, K8 is K rounded up to a multiple of 8; padding is zero.  S,
a power of two up to 64, is what the CPU's tiles take at once (`target`), so that a tile reads its
weights from the first byte to the last; 64 columns, one or more strips, are a panel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from int8ref.spec.pair_sums import QUAD, SPAN

PANEL = 64  # output columns in a panel
GROUP = QUAD  # consecutive k that one dot-product instruction consumes
DEPTH = SPAN  # K is padded to a multiple of it: two groups are one turn of the innermost loop
WIDE = -1
"""In place of the shift of start values in 16 bits (`narrow`): they have 32."""


def padded(size: int, step: int) -> int:
    """`size` rounded up to a multiple of `step`."""
    return -(-size // step) * step


def packed_shape(n: int, k: int) -> tuple[int, int, int, int]:
    """The shape that a weight [n, k] packs to."""
    from int8ref.kernels.gemm.target import TARGET  # asks LLVM what CPU this is

    columns = TARGET.strip
    return padded(n, PANEL) // columns, padded(k, DEPTH) // GROUP, columns, GROUP


def pack(weight: NDArray[np.int8]) -> NDArray[np.int8]:
    """Weight [N, K] int8 -> packed int8 [N64/S, K8/4, S, 4], zero padded.

    The result starts at a 64-byte boundary, for speed only: the kernels take any address.
    Raises ValueError if `weight` is not a two-dimensional int8 array with at least one element.
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
    """The weight [n, k] int8 that `pack` made `packed` of: unpack(pack(w), *w.shape) == w.

    Raises ValueError if `packed` is not the shape that a weight [n, k] packs to.
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
    """What the accumulators start from on this CPU: int32 [ceil(N/64) * 64].

        start[n] = bias[n] - offset * sum_k weight[n, k]   (mod 2^32), zero for n >= N

    `offset` is what the left operand is raised by: 128 where the dot-product instruction takes it
    as u8, else 0 (see `target`), unless it is given.  `weight` is the weight itself, int8 [N, K],
    or its column sums sum_k, int32 [N].
    The result depends on the CPU: store bias and column sums in a file, never this.
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
    from int8ref.kernels.gemm.target import TARGET  # asks LLVM what CPU this is

    start = np.zeros(padded(len(sums), PANEL), np.int32)
    raised = TARGET.offset if offset is None else offset
    start[: len(sums)] = bias - np.int32(raised) * sums
    return start


def narrow(start: NDArray[np.int32], shift: int) -> NDArray[np.int16] | None:
    """Start values in units of 2^shift, int16; None where they do not fit exactly."""
    units = (start >> np.int32(shift)).astype(np.int16)
    return units if np.array_equal(units.astype(np.int32) << np.int32(shift), start) else None
