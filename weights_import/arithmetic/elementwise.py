"""Functions of numbers over arrays of any shape and type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from weights_import.arithmetic.threads import in_threads

BLOCK = 1 << 13
"""Numbers whose float64 copies stay in the first two caches."""


def elementwise(
    loop: Callable[..., object], code: int, *arguments: ArrayLike, dtype: DTypeLike = np.float64
) -> NDArray[Any]:
    """The results of loop(code, *inputs, result) on blocks of numbers, rounded once to `dtype`.

    The inputs and the result are vectors of float64.  The arguments are broadcast to one shape.
    """
    given = np.broadcast_arrays(*arguments)
    flat = [array.reshape(-1) for array in given]
    found = np.empty(given[0].size, dtype)

    def compute(first: int) -> None:
        block = slice(first, first + BLOCK)
        inputs = [array[block].astype(np.float64) for array in flat]
        result = np.empty(len(inputs[0]))
        loop(code, *inputs, result)
        found[block] = result

    in_threads(compute, range(0, len(found), BLOCK))
    return found.reshape(given[0].shape)
