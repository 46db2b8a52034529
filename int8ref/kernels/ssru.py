"""Compiled twin of `int8ref.reference.ssru`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel

ONE = np.int32(1 << 15)
HALF = np.int32(1 << 14)


@kernel
def ssru(x, gate, state, next_state, out):
    """Advance the state by one token; `next_state` may be the same memory as `state`."""
    for r in range(x.shape[0]):
        fresh, open_, old = x[r], gate[r], state[r]
        following, target = next_state[r], out[r]
        for i in range(x.shape[1]):
            f = max(np.int32(open_[i]), np.int32(0))
            mixed = np.int32(f * np.int32(old[i]))
            mixed = np.int32(mixed + np.int32(np.int32(ONE - f) * np.int32(fresh[i])))
            mixed = np.int32(np.int32(mixed + HALF) >> np.int32(15))
            following[i] = np.int16(mixed)
            target[i] = np.int16(max(mixed, np.int32(0)))
