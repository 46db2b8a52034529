"""A better basis for the queries and keys of every attention head.

A score is a dot product, and (A q) . (A^-T k) = q . k for every invertible A.  Therefore the basis
within a head is free, and both projections can take it over.  8 bits for each channel are the best
if all channels matter alike.  In the balanced basis, queries and keys have one common diagonal
covariance S (as in balanced truncation, Moore 1981).  A rotation by an orthogonal matrix of even
magnitudes gives every channel the same variance, the mean of S, and makes outliers rare (compare
the Hadamard rotations of QuaRot, Ashkboos et al. 2024).  The summed error of the scores falls from
sum_c S_c^2 to its least value, (sum_c S_c)^2 / n.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from weights_import.arithmetic.algebra import (
    inverse_of_lower,
    second_moment,
    singular_values,
    small_cholesky,
    small_product,
)
from weights_import.arithmetic.functions import cos, sin
from weights_import.arithmetic.product import packed, product
from weights_import.lowering.emitter import Emitter
from weights_import.operations.linear import product_of
from weights_import.tensors import Float32, Float64

DAMPING = 0.1
"""A share of the mean variance that is added to both covariances, because a direction that the
sample hardly shows must not be stretched too far."""


def balance(emitter: Emitter, query: str, key: str, size: int) -> None:
    """Rewrite a query and a key projection, and the rows of their values.

    The scores of the model stay the same, up to float rounding.
    """
    queries, keys = (emitter.observed.sample(name) for name in (query, key))
    pairs = [
        balanced_bases(queries[:, h : h + size], keys[:, h : h + size])
        for h in range(0, queries.shape[1], size)
    ]
    for name, bases in zip((query, key), zip(*pairs, strict=True), strict=True):
        _change_basis(emitter, name, [basis.astype(np.float32) for basis in bases])


def balanced_bases(query: Float32, key: Float32) -> tuple[Float64, Float64]:
    """A and A^-T [n, n] that make channels alike: rows of `query` become A q, of `key` A^-T k.

    `query`, `key`: [rows, n] of one head, not necessarily of the same tokens.  The mean of the keys
    is subtracted, because a softmax does not see it.  Channels first get one size in queries and
    keys, because a channel that is larger in one and smaller in the other is the same model.  With
    the second moments Cq + damping = P P^T, Ck + damping = R R^T and the singular values
    P^T R = U S V^T, the bases are A = F S^(1/2) U^T P^-1 and A^-T = F S^(1/2) V^T R^-1, where F is
    `even_rotation`.
    """
    queries, keys = (x.astype(np.float64) for x in (query, key))
    keys = keys - np.cumsum(keys, axis=0)[-1] / len(keys)
    moments = [second_moment(x) / len(x) for x in (queries, keys)]
    sizes = [np.sqrt(np.diagonal(moment)) for moment in moments]
    known = (sizes[0] > 0) & (sizes[1] > 0)
    even = np.sqrt(np.where(known, sizes[1], 1.0) / np.where(known, sizes[0], 1.0))
    moments = [moments[0] * np.outer(even, even), moments[1] / np.outer(even, even)]
    p, r = (small_cholesky(_damped(moment)) for moment in moments)
    u, s, v = singular_values(small_product(np.ascontiguousarray(p.T), r))
    rotation = even_rotation(len(s)) * np.sqrt(s)
    found = [
        small_product(small_product(rotation, np.ascontiguousarray(side.T)), inverse_of_lower(root))
        for side, root in ((u, p), (v, r))
    ]
    return found[0] * even, found[1] / even


def _damped(covariance: Float64) -> Float64:
    variance = float(np.cumsum(np.diagonal(covariance))[-1]) / len(covariance)
    damping: Float64 = np.eye(len(covariance)) * (DAMPING * variance or 1.0)
    return covariance + damping


@lru_cache(maxsize=4)
def even_rotation(n: int) -> Float64:
    """The orthogonal, symmetric Hartley matrix [n, n]: (cos + sin)(2 pi i j / n) / sqrt(n)."""
    i = np.arange(n)
    angles = 2 * np.pi * (np.outer(i, i) % n) / n
    found: Float64 = (cos(angles) + sin(angles)) / np.sqrt(n)
    return found


def _change_basis(emitter: Emitter, value: str, bases: list[Float32]) -> None:
    """Multiply the weight, the bias and the rows of a value by the basis of each head."""
    name, tensors = product_of(emitter, value).name, emitter.model.tensors
    size = len(bases[0])
    starts = range(0, size * len(bases), size)
    weight, bias, rows = tensors[f"{name}.weight"], f"{name}.bias", emitter.observed.rows[value]
    emitter.observed.rows[value] = np.concatenate(
        [
            product(rows[:, h : h + size], packed(basis), size)
            for h, basis in zip(starts, bases, strict=True)
        ],
        axis=1,
    )
    columns = weight.shape[1]
    tensors[f"{name}.weight"] = np.concatenate(
        [
            product(a, packed(np.ascontiguousarray(weight[h : h + size].T)), columns)
            for h, a in zip(starts, bases, strict=True)
        ]
    )
    emitter.model.grids.pop(f"{name}.weight", None)
    if bias in tensors:
        before = tensors[bias].reshape(len(bases), 1, size)
        tensors[bias] = np.concatenate(
            [product(b, packed(a), size)[0] for a, b in zip(bases, before, strict=True)]
        )
