"""The usual size of the weights of each column."""

from __future__ import annotations

import numpy as np

from weights_import.arithmetic.kernel import kernel
from weights_import.tensors import Float32, Float64


def column_sizes(w: Float32) -> Float64:
    """size[k] = sqrt((((0 + w[0, k]^2) + w[1, k]^2) + ...) / rows), in float64; 0 without rows."""
    squares = np.zeros(w.shape[1])
    _add_squares(np.ascontiguousarray(w), squares)
    found: Float64 = np.sqrt(squares / max(1, len(w)))
    return found


@kernel
def _add_squares(w, squares):
    for n in range(len(w)):
        for k in range(w.shape[1]):
            weight = np.float64(w[n, k])
            squares[k] += weight * weight
