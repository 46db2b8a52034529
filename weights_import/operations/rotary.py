"""Rotary positions (Su et al. 2021, Eq. 34)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weights_import.arithmetic.functions import cos, sin
from weights_import.arithmetic.kernel import kernel
from weights_import.tensors import Float32


def turned(
    x: Float32, positions: NDArray[np.int64], frequencies: tuple[float, ...], size: int
) -> Float32:
    """Rows [rows, heads * size] after their positions turned them.

    The columns i and i + pairs of a head are a point of the plane, which is turned by
    position * frequencies[i].  Other columns stay.
    """
    known, at = np.unique(positions, return_inverse=True)
    angles = known[:, None] * np.array(frequencies)
    cosine, sine = cos(angles).astype(np.float32), sin(angles).astype(np.float32)
    out = x.copy()
    _turn(out, at.reshape(-1), cosine, sine, size)
    return out


@kernel
def _turn(x, at, cosine, sine, size):
    pairs = cosine.shape[1]
    for i in range(len(x)):
        c, s = cosine[at[i]], sine[at[i]]
        for start in range(0, x.shape[1], size):
            for p in range(pairs):
                a, b = x[i, start + p], x[i, start + pairs + p]
                x[i, start + p] = a * c[p] - b * s[p]
                x[i, start + pairs + p] = a * s[p] + b * c[p]
