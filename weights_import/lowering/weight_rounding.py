"""Rounding weights to integers so that the errors of one row cancel over real inputs.

Rounding every element to the nearest integer is the best only for inputs that do not correlate.
For inputs X of the product, the error of a row is |(w - q) X^T|^2 = |(w - q) L|^2 with the Cholesky
factor L L^T = X^T X.  This is a closest-vector problem.  Nearest-plane rounding (Babai 1986) goes
through the columns once, and each element takes up the error of the elements before it.  GPTQ
(Frantar et al. 2023) is the same method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from int8ref.spec.pair_sums import LARGEST_SUM, quad_of, quads
from weights_import.arithmetic.algebra import cholesky
from weights_import.arithmetic.product import Float32
from weights_import.arithmetic.rounding import gram, nearest_planes, total
from weights_import.lowering.scale_propagation import Float64, Quantized, Real

DAMPING = 0.1
"""A share of the mean diagonal that is added to X^T X, because other texts correlate a little
differently."""
LEAST_DAMPING = 2.0**-60
"""The damping of inputs that are zero in integers."""
LARGEST_UNIT = 2.0**40
"""The largest unit of an input.  Sums of squares stay within float32, and an input saturates long
before."""


@dataclass(frozen=True)
class Moments:
    """The second moments of the inputs X [rows, k] of a product.

    exponents   [k]: the least numbers with |X[:, c]| < 2^exponents[c]; 0 for a channel of zeros
    gram        [k, k]: Y^T Y / rows, with Y[:, c] = X[:, c] * 2^-exponents[c], in float32

    `arithmetic.rounding.gram` states the order of the sums.
    """

    gram: Float32
    exponents: NDArray[np.int32]

    @classmethod
    def of(cls, x: Float32) -> Moments:
        """Of all finite inputs: the sums of the scaled channels do not overflow."""
        largest = np.maximum(x.max(axis=0, initial=0), -x.min(axis=0, initial=0))
        exponents = np.frexp(largest)[1].astype(np.int32)
        found = gram(x, np.ldexp(1.0, -exponents))
        found /= np.float32(max(1, len(x)))
        return cls(found, exponents)


@dataclass(frozen=True)
class Inputs:
    """The Cholesky factor of the inputs of a product.

    order    the input channels from the quietest to the loudest, which is rounded first
    factor   lower triangular [k, k]: L L^T = X^T X / rows + damping, for X in that order
    """

    order: NDArray[np.intp]
    factor: Float32

    @classmethod
    def of(cls, moments: Moments, scale: Float64) -> Inputs:
        """Of inputs in units of their scale, [1] or [k].

        unit[c] = min(2^exponents[c] / scale[c], LARGEST_UNIT), rounded to float32; an element of
        the Gram matrix is gram[i, j] * (unit[i] * unit[j]).  The mean diagonal is a sum in
        ascending order of the channels, in float64.  A channel and its scale that grow by the same
        power of two change no bit.
        """
        unit = np.minimum(np.ldexp(1 / scale, moments.exponents), LARGEST_UNIT).astype(np.float32)
        found = moments.gram * (unit[:, None] * unit)
        power = found.diagonal()
        order = np.argsort(power, kind="stable")
        damping = max(DAMPING * (total(power) / len(power)), LEAST_DAMPING)
        found = found[np.ix_(order, order)]
        found[np.diag_indices_from(found)] += np.float32(damping)
        return cls(order, cholesky(found))


def round_weight(w: Real, scale: Float64, inputs: Inputs, in_quads: bool = False) -> Quantized:
    """Integers q in [-127, 127] with q * scale near `w` [n, k], for these inputs.

    `scale`: [1] or one a row of w; w and `inputs` belong to one order of channels and to one scale
    of the inputs.  With columns c in `inputs.order`, from the last one down:

        e[j] = w[j] / scale - q[j]
        t[c] = w[c] / scale + sum_{j after c} e[j] * (L[j, c] / L[c, c])
        q[c] = clamp(round(t[c]))

    in float32, rounding half to even; w / scale is a division in float64.  The columns are cut into
    blocks of BLOCK from the last one down.  t[c] takes up the blocks after its own block, from the
    last one down, then the later columns of its own block.  Each time it becomes
    t + (((0 + e[j] l[j]) + e[j + 1] l[j + 1]) + ...), columns in ascending order.

    Uncorrelated inputs give the nearest integers.  With `in_quads` an element takes no more than is
    left of the sums of its quad (`int8ref.spec.pair_sums`): with the scales of `row_scales` seldom
    less than it wants.
    """
    n, k = w.shape
    taken = inputs.factor / inputs.factor.diagonal()
    owner, limit = np.zeros(k, np.intp), np.full(1, np.inf, np.float32)
    if in_quads:
        owner, limit = quad_of(k), np.full(quads(k), LARGEST_SUM, np.float32)
    rows = np.array(np.broadcast_to(scale, n), np.float64)
    return Quantized(nearest_planes(w, rows, inputs.order, taken, (owner, limit)), scale)
