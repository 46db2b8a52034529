"""Weights whose sums of four products are as large as 16 bits allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from int8ref.spec.pair_sums import LARGEST_SUM, quad_of, quads


def within_quads(weight: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the weight int8 [n, k] with smaller elements where four products exceed 16 bits.

    Most of the changed quads then reach the limit, or almost reach it.
    """
    n, k = weight.shape
    wide, owner = weight.astype(np.int64), quad_of(k)
    found = np.zeros_like(wide)
    for part in (np.maximum(wide, 0), np.minimum(wide, 0)):
        sums = np.zeros((n, quads(k)), np.int64)
        np.add.at(sums.T, owner, np.abs(part).T)
        of_each = np.maximum(sums[:, owner], LARGEST_SUM)
        found += np.sign(part) * (np.abs(part) * LARGEST_SUM // of_each)
    return found.astype(np.int8)
