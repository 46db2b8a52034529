"""A better basis for the queries and keys of every attention head.

A score is a dot product, and (A q) . (A^-T k) = q . k for every invertible A: within a head the
basis is free, and both projections can take it over.  8 bits a channel serve best where all
channels matter alike.  In the balanced basis queries and keys have one common diagonal covariance
S (as in balanced truncation, Moore 1981); rotating that by an orthogonal matrix of even magnitudes
gives every channel the same variance, the mean of S, and makes outliers rare (compare the Hadamard
rotations of QuaRot, Ashkboos et al. 2024).  The summed error of the scores then falls from
sum_c S_c^2 to its least value, (sum_c S_c)^2 / n.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weights_import.calibrate import Ranges
from weights_import.float_model import FloatModel
from weights_import.scale_propagation import Float64, Real

DAMPING = 0.1
"""Added to both covariances, as a share of their mean variance: a direction that the sample hardly
shows is not stretched without measure."""


def balance_heads(model: FloatModel, ranges: Ranges) -> None:
    """Rewrite every query and key projection, and what is known of their values, in place.

    The scores of the model stay what they were, up to float rounding.  Rotary positions have a
    basis of their own, which stays; so does that of keys which several heads of queries share.
    """
    if model.architecture.rotary or model.architecture.group > 1:
        return
    size = model.architecture.head_size
    suffix = ".query.weight"
    for block in [name.removesuffix(suffix) for name in model.tensors if name.endswith(suffix)]:
        names = f"{block}.query", f"{block}.key"
        query, key = (ranges.samples[name].astype(np.float64) for name in names)
        heads = [np.s_[:, h : h + size] for h in range(0, query.shape[1], size)]
        bases = [balanced_basis(query[head], key[head]) for head in heads]
        change_basis(model, ranges, names[0], block_diagonal(bases))
        change_basis(model, ranges, names[1], block_diagonal([np.linalg.inv(a).T for a in bases]))


def balanced_basis(query: Float64, key: Float64) -> Float64:
    """The A [n, n] that makes channels alike: rows of `query` become q A^T, of `key` k A^-1.

    `query`, `key`: [rows, n] of one head, not necessarily of the same tokens; of the keys only what
    differs from their mean counts, as a softmax does not see the mean.  With the second moments
    Cq + damping = P P^T, Ck + damping = R R^T and the singular values P^T R = U S V^T it is
    A = F S^(1/2) U^T P^-1, F being `even_rotation`.
    """
    p = np.linalg.cholesky(damped(query.T @ query / len(query)))
    centred = key - key.mean(axis=0)
    r = np.linalg.cholesky(damped(centred.T @ centred / len(key)))
    u, s, _ = np.linalg.svd(p.T @ r)
    basis: Float64 = even_rotation(len(s)) @ (np.sqrt(s)[:, None] * np.linalg.solve(p.T, u).T)
    return basis


def damped(covariance: Float64) -> Float64:
    variance = float(np.trace(covariance)) / len(covariance)
    damping: Float64 = np.eye(len(covariance)) * (DAMPING * variance or 1.0)
    return covariance + damping


def even_rotation(n: int) -> Float64:
    """The orthogonal, symmetric Hartley matrix [n, n]: (cos + sin)(2 pi i j / n) / sqrt(n)."""
    i = np.arange(n)
    angles = 2 * np.pi * np.outer(i, i) / n
    rotation: Float64 = (np.cos(angles) + np.sin(angles)) / np.sqrt(n)
    return rotation


def block_diagonal(blocks: Sequence[Real]) -> Float64:
    n = len(blocks[0])
    whole = np.zeros((n * len(blocks), n * len(blocks)))
    for i, block in enumerate(blocks):
        whole[i * n : (i + 1) * n, i * n : (i + 1) * n] = block
    return whole


def change_basis(model: FloatModel, ranges: Ranges, name: str, change: Float64) -> None:
    """Let projection `name` give `change` times what it gave."""
    for part in ("weight", "bias"):
        tensor = model.tensors.get(f"{name}.{part}")
        if tensor is not None:
            model.tensors[f"{name}.{part}"] = (change @ tensor).astype(np.float32)
            model.grids.pop(f"{name}.{part}", None)
    ranges.replace(name, (ranges.samples[name] @ change.T).astype(np.float32))
