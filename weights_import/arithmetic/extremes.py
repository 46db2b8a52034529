"""The least and the largest value of every column."""

from __future__ import annotations

import numpy as np

from weights_import.arithmetic.kernel import kernel
from weights_import.tensors import Float32


def extremes(x: Float32) -> tuple[Float32, Float32]:
    """Least and largest value of each column of x [rows, columns]; 0 without any row.

    A column that holds a value that is no number has nan as both.
    """
    low, high = np.zeros((2, x.shape[1]), np.float32)
    _extremes(np.ascontiguousarray(x), low, high)
    return low, high


@kernel
def _extremes(x, low, high):
    for i in range(len(x)):
        for c in range(x.shape[1]):
            value = x[i, c]
            below, above = low[c], high[c]
            if i == 0:
                below, above = value, value
            # A comparison with nan is false, so that nan stays once it is there.
            none = value != value
            low[c] = value if value < below or none else below
            high[c] = value if value > above or none else above
