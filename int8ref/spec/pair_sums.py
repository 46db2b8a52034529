"""Weights for which a 16-bit sum of four products with int8 inputs is exact.

The kernel adds 128 to the input, which gives u8.  The instruction vpmaddubsw multiplies u8 by s8
and adds pairs of products in 16 bits, with saturation.  The kernel then adds two such pairs in 16
bits.  The sum is exact if no sum of four products leaves 16 bits.  The inputs lie in [0, 255], so
that this is a condition on the four weights: the positive weights sum to at most 128, and so do the
magnitudes of the negative weights.  Then the magnitude of the sum is at most
255 * 128 = 32640 < 2^15.

The four inputs of one sum form a quad.  Of eight consecutive inputs k, numbers 0, 1, 4 and 5 form
one quad, and numbers 2, 3, 6 and 7 form another.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.number[Any])

OFFSET = 128  # added to x
QUAD = 4
"""Products of one sum."""
SPAN = 2 * QUAD
"""Inputs of two interleaved quads."""
LARGEST_SUM = 128
"""Largest sum of the weights of one sign in a quad."""


def quad_of(depth: int) -> NDArray[np.intp]:
    """The number of the quad of each input: [depth], numbers below `quads(depth)`."""
    k = np.arange(depth)
    return k // SPAN * 2 + k % QUAD // 2


def quads(depth: int) -> int:
    """The number of quads."""
    return -(-depth // SPAN) * 2


def fits(weight: NDArray[np.int8]) -> bool:
    """Whether all sums of four products stay within 16 bits, for a weight int8 [N, K]."""
    return bool(largest_sums(weight.astype(np.int16)).max() <= LARGEST_SUM)


def largest_sums(weight: NDArray[Number]) -> NDArray[Number]:
    """The largest |sum| of the elements of one sign in any quad, for each row of [N, K]: [N]."""
    n, k = weight.shape
    plain = np.zeros((n, quads(k) * QUAD), weight.dtype)
    plain[:, :k] = weight
    eights = plain.reshape(n, -1, 2, 2, 2)  # the last axes: groups, pairs, inputs
    positive, negative = (
        part.sum(axis=(2, 4), dtype=weight.dtype).reshape(n, -1)
        for part in (np.maximum(eights, 0), np.minimum(eights, 0))
    )
    found: NDArray[Number] = np.maximum(positive.max(axis=1), -negative.min(axis=1))
    return found
