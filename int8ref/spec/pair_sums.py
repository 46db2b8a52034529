"""Weights whose products with any int8 input can be added up in 16 bits, four at a time.

With the input raised to u8, vpmaddubsw gives pairs of products in 16 bits, saturated; two of them
are added before they are widened.  That is exact if no sum of four leaves 16 bits, and for all
inputs from 0 to 255 that is a property of the weights: of the four, those of one sign add up to
128 at most, as 255 * 128 = 32640 < 2^15.

Of eight consecutive inputs k, numbers 0, 1, 4 and 5 share a sum, and so do 2, 3, 6 and 7: a quad.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.number[Any])

OFFSET = 128  # what x is raised by
QUAD = 4
"""Products of a sum."""
SPAN = 2 * QUAD
"""Inputs of the two quads that lie between each other."""
LARGEST_SUM = 128
"""Of the weights of one sign in a quad."""


def quad_of(depth: int) -> NDArray[np.intp]:
    """The number of the quad that each input is in: [depth], numbers below `quads(depth)`."""
    k = np.arange(depth)
    return k // SPAN * 2 + k % QUAD // 2


def quads(depth: int) -> int:
    """How many quads there are."""
    return -(-depth // SPAN) * 2


def fits(weight: NDArray[np.int8]) -> bool:
    """Whether a weight int8 [N, K] keeps all sums of four products within 16 bits."""
    return bool(largest_sums(weight.astype(np.int16)).max() <= LARGEST_SUM)


def largest_sums(weight: NDArray[Number]) -> NDArray[Number]:
    """The largest |sum| of the elements of one sign in any quad of each row of [N, K]: [N]."""
    n, k = weight.shape
    plain = np.zeros((n, quads(k) * QUAD), weight.dtype)
    plain[:, :k] = weight
    eights = plain.reshape(n, -1, 2, 2, 2)  # of groups, pairs in a group, inputs in a pair
    positive, negative = (
        part.sum(axis=(2, 4), dtype=weight.dtype).reshape(n, -1)
        for part in (np.maximum(eights, 0), np.minimum(eights, 0))
    )
    found: NDArray[Number] = np.maximum(positive.max(axis=1), -negative.min(axis=1))
    return found
