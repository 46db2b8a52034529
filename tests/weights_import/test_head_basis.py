"""The balanced basis of a head: the model stays, and the error of its scores reaches its bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from same_model import KINDS, LLAMAS, compare, copied, tiny_model

from weights_import.head_basis import balance_heads, balanced_basis, damped, even_rotation

Float64 = NDArray[np.float64]


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_computes_what_it_did(kind: str, tmp_path: Path) -> None:
    model = tiny_model(kind, tmp_path)
    rewritten, ranges = copied(model)
    balance_heads(rewritten, ranges)
    changed = {name for name, t in rewritten.tensors.items() if t is not model.tensors[name]}
    free = set() if kind in LLAMAS else {"query", "key"}  # rotary positions fix the basis
    assert {name.split(".")[3] for name in changed} == free
    compare(model, rewritten, ranges)


def test_a_grid_that_is_left_is_forgotten(tmp_path: Path) -> None:
    model = tiny_model("standard", tmp_path)
    model.grids = {"encoder.0.self.query.weight": 0.1, "encoder.0.self.value.weight": 0.1}
    rewritten, ranges = copied(model)
    balance_heads(rewritten, ranges)
    assert [*rewritten.grids] == ["encoder.0.self.value.weight"]


def head(seed: int, n: int) -> tuple[Float64, Float64]:
    """Return queries and keys of uneven, correlated channels.  The keys are far from zero."""
    random = np.random.default_rng(seed)
    sizes = np.exp(random.normal(0, 1.5, (2, n)))
    mixing = random.normal(0, 1, (2, n, n))
    query, key = (random.normal(0, 1, (300, n)) * s @ m for s, m in zip(sizes, mixing, strict=True))
    return query, key + 50 * random.normal(0, 1, n)


def covariance(x: Float64) -> Float64:
    return np.atleast_2d(np.cov(x, rowvar=False, bias=True))


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 8, 32]))
def test_both_sides_get_one_covariance(seed: int, n: int) -> None:
    """A Cq A^T = A^-T Ck A^-1 = F S F^T with the damping.  Cov(k) is taken about the mean."""
    query, key = head(seed, n)
    basis = balanced_basis(query, key)
    inverse = np.linalg.inv(basis)
    left = basis @ damped(query.T @ query / 300) @ basis.T
    right = inverse.T @ damped(covariance(key)) @ inverse
    np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-6 * np.abs(left).max())
    diagonal = even_rotation(n) @ left @ even_rotation(n)
    off = diagonal - np.diag(np.diag(diagonal))
    assert np.abs(off).max() < 1e-6 * np.abs(diagonal).max()


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 5, 32]))
def test_no_other_basis_has_less_error(seed: int, n: int) -> None:
    """If steps follow the ranges, the error of scores is sum_c Var(q_c) Var(k_c)."""
    query, key = head(seed, n)
    cq = damped(query.T @ query / 300)
    ck = damped(covariance(key))
    singular = np.sqrt(np.abs(np.linalg.eigvals(cq @ ck)))
    bound = singular.sum() ** 2 / n

    def error(basis: Float64) -> float:
        inverse = np.linalg.inv(basis)
        return float(np.diag(basis @ cq @ basis.T) @ np.diag(inverse.T @ ck @ inverse))

    assert error(np.eye(n)) >= bound * (1 - 1e-9)
    assert bound * (1 - 1e-9) <= error(balanced_basis(query, key)) <= 2 * bound


@given(st.integers(1, 70))
def test_the_rotation_is_orthogonal_and_even(n: int) -> None:
    rotation = even_rotation(n)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(n), atol=1e-9)
    np.testing.assert_array_equal(rotation, rotation.T)
    assert np.square(rotation).max() <= 2.0001 / n


def test_a_head_that_is_always_zero() -> None:
    basis = balanced_basis(np.zeros((9, 4)), np.ones((9, 4)))
    assert np.isfinite(np.linalg.inv(basis)).all()
