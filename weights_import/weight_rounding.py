"""Rounding weights to integers so that the errors of one row cancel over real inputs.

Rounding every element to the nearest integer is the best only for inputs that do not correlate.
For inputs X of the product the error of a row is |(w - q) X^T|^2 = |(w - q) L|^2 with the Cholesky
factor L L^T = X^T X: a closest-vector problem.  Nearest-plane rounding (Babai 1986) goes through
the columns once, and each element takes up the error that those before it have left; in other words
this is what GPTQ does (Frantar et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.spec.pair_sums import LARGEST_SUM, quad_of, quads
from weights_import.float_model import Float32
from weights_import.scale_propagation import DATA_MAX, Float64, Quantized, Real

DAMPING = 0.1
"""Added to X^T X, as a share of its mean diagonal: other texts correlate a little otherwise."""
BLOCK = 64
LARGEST_UNIT = 2.0**40
"""Of an input, which saturates long before: sums of squares stay within float32."""


@dataclass(frozen=True)
class Inputs:
    """The Cholesky factor of the inputs of a product.

    order    the input channels from the quietest to the loudest, which is rounded first
    factor   lower triangular [k, k]: L L^T = X^T X / rows + damping, for X in that order
    """

    order: NDArray[np.intp]
    factor: NDArray[np.float32]

    @classmethod
    def of(cls, x: NDArray[np.float32], scale: Float64) -> Inputs:
        """Of the inputs `x` [rows, k] in units of their scale, [1] or [k]."""
        units = (x / scale).clip(-LARGEST_UNIT, LARGEST_UNIT).astype(np.float32)
        gram = (units.T @ units).astype(np.float64) / len(x)
        power = np.diag(gram)
        order = np.argsort(power, kind="stable")
        damping = DAMPING * power.mean() or 1.0
        gram = gram[np.ix_(order, order)] + damping * np.eye(len(gram))
        return cls(order, np.linalg.cholesky(gram).astype(np.float32))


def round_weight(w: Real, scale: Float64, inputs: Inputs, in_quads: bool = False) -> Quantized:
    """Integers q in [-127, 127] with q * scale near `w` [n, k], for these inputs.

    `scale`: [1] or one a row of w; w and `inputs` belong to one order of channels and to one scale
    of the inputs.  With columns c in `inputs.order`, from the last one down:

        t[c] = w[c] / scale + sum_{j after c} (w[j] / scale - q[j]) * L[j, c] / L[c, c]
        q[c] = clamp(round(t[c]))

    in float32, rounding half to even.  Uncorrelated inputs give the nearest integers.  With
    `in_quads` an element takes no more than is left of the sums of its quad
    (`int8ref.spec.pair_sums`): with the scales of `row_scales` seldom less than it wants.
    """
    exact = (w[:, inputs.order] / scale.reshape(-1, 1)).T.astype(np.float32)
    taken = (inputs.factor / np.diag(inputs.factor)).astype(np.float32)
    target, found = exact.copy(), np.empty_like(exact)
    room = _Quads(inputs.order, len(w)) if in_quads else _Alone()
    for last in range(len(exact), 0, -BLOCK):
        first = max(0, last - BLOCK)
        error = np.zeros_like(exact[first:last])
        for column in range(last - 1, first - 1, -1):
            later = slice(column + 1, last)
            t = target[column] + taken[later, column] @ error[column + 1 - first :]
            found[column] = room.take(column, np.rint(t))
            error[column - first] = exact[column] - found[column]
        target[:first] += taken[first:last, :first].T @ error
    integers: NDArray[Any] = np.empty(w.shape, np.int8)
    integers[:, inputs.order] = found.T
    return Quantized(integers, scale)


class _Alone:
    """The room of elements by themselves."""

    def take(self, column: int, wanted: Float32) -> Float32:
        return np.clip(wanted, -DATA_MAX, DATA_MAX)


class _Quads:
    """The room that the quads of `rows` rows have left for numbers of either sign."""

    def __init__(self, order: NDArray[np.intp], rows: int) -> None:
        self.owner = quad_of(len(order))[order]
        self.room = np.full((quads(len(order)), 2, rows), LARGEST_SUM, np.float32)

    def take(self, column: int, wanted: Float32) -> Float32:
        """What the elements of a column get of what they want."""
        above, below = self.room[self.owner[column]]
        found: Float32 = np.clip(wanted, -np.minimum(below, DATA_MAX), np.minimum(above, DATA_MAX))
        above -= np.maximum(found, 0)
        below += np.minimum(found, 0)
        return found
