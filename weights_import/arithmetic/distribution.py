"""Probabilities of tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weights_import.arithmetic.functions import exp_of, log
from weights_import.arithmetic.kernel import kernel
from weights_import.tensors import Float32, Float64


def log_probabilities(logits: Float32) -> Float64:
    """x - max - log(sum of exp(x - max)) of every row, in float64; sums in ascending order."""
    x = np.ascontiguousarray(logits)
    largest = x.max(axis=1).astype(np.float64)
    norms = largest + log(_totals(x, largest))
    found: Float64 = x.astype(np.float64) - norms[:, None]
    return found


def drawn(logits: Float32, numbers: NDArray[np.int32]) -> NDArray[np.int64]:
    """A token for each row, drawn by its probability.

    The token is the first one at which the sum of the weights exp(x - max), in ascending order,
    exceeds number / 2^31 of their total.
    """
    x = np.ascontiguousarray(logits)
    shares = np.ldexp(numbers.astype(np.float64), -31)
    return _drawn(x, x.max(axis=1).astype(np.float64), shares)  # type: ignore[no-any-return]


@kernel
def _totals(x, largest):
    found, weights = np.empty(len(x)), np.empty(x.shape[1])
    for i in range(len(x)):
        found[i] = _weigh(x[i], largest[i], weights)
    return found


@kernel
def _drawn(x, largest, shares):
    found, weights = np.zeros(len(x), np.int64), np.empty(x.shape[1])
    for i in range(len(x)):
        wanted = shares[i] * _weigh(x[i], largest[i], weights)
        reached = 0.0
        for j in range(len(weights)):
            reached += weights[j]
            if reached > wanted:
                found[i] = j
                break
    return found


@kernel
def _weigh(row, largest, weights):
    """Set the weights exp(x - max), and return their sum."""
    for j in range(len(row)):
        weights[j] = exp_of(np.float64(row[j]) - largest)
    total = 0.0
    for j in range(len(row)):
        total += weights[j]
    return total
