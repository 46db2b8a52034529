"""Weights whose quads are as full as they may be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from int8ref.spec.pair_sums import LARGEST_SUM, quad_of, quads


def within_quads(weight: NDArray[np.int8]) -> NDArray[np.int8]:
    """The weight int8 [n, k] with the quads shrunk that add up to too much; most of these are full
    afterwards, or lack a few."""
    n, k = weight.shape
    wide, owner = weight.astype(np.int64), quad_of(k)
    found = np.zeros_like(wide)
    for part in (np.maximum(wide, 0), np.minimum(wide, 0)):
        sums = np.zeros((n, quads(k)), np.int64)
        np.add.at(sums.T, owner, np.abs(part).T)
        of_each = np.maximum(sums[:, owner], LARGEST_SUM)
        found += np.sign(part) * (np.abs(part) * LARGEST_SUM // of_each)
    return found.astype(np.int8)
