"""The balanced basis of a head: scores stay, and their error reaches its bound."""

from __future__ import annotations

import every_kind
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from same_model import changed, rewritten

from weights_import.operations.head_basis import DAMPING, balanced_bases, even_rotation
from weights_import.tensors import Float32, Float64

SEEDS = st.integers(0, 2**32 - 1)
ROWS = 300


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_queries_and_keys_change_their_basis(kind: str) -> None:
    """`test_centring` tests that the model computes what it did."""
    names = changed(rewritten(every_kind.random_model(kind)))
    weights = {name.split(".")[3] for name in names if name.endswith(".weight")}
    # Rotary positions fix the basis.
    assert weights == (set() if kind in every_kind.LLAMAS else {"query", "key"})


def test_a_grid_that_is_left_is_forgotten() -> None:
    model = every_kind.random_model("pre-norm")
    model.grids = {f"encoder.0.self.{part}.weight": 0.1 for part in ("query", "key", "value")}
    after = rewritten(model).after
    assert [*after.grids] == ["encoder.0.self.value.weight"]
    assert len(model.grids) == 3


def head(seed: int, n: int) -> tuple[Float32, Float32]:
    """Return queries and keys of uneven, correlated channels.  The keys are far from zero."""
    random = np.random.default_rng(seed)
    sizes = np.exp(random.normal(0, 1.5, (2, n)))
    mixing = random.normal(0, 1, (2, n, n))
    query, key = (
        random.normal(0, 1, (ROWS, n)) * s @ m for s, m in zip(sizes, mixing, strict=True)
    )
    key += 50 * random.normal(0, 1, n)
    return query.astype(np.float32), key.astype(np.float32)


def damped(covariance: Float64) -> Float64:
    n = len(covariance)
    found: Float64 = covariance + np.eye(n) * DAMPING * np.trace(covariance) / n
    return found


def moments(query: Float32, key: Float32) -> tuple[Float64, Float64, Float64]:
    """Return both damped second moments, and the factor that gives channels one size in both.

    The moments are those of queries times the factor, and of keys over the factor.  The moment of
    the keys is taken about their mean.
    """
    q, k = query.astype(np.float64), key.astype(np.float64)
    k = k - k.mean(axis=0)
    even = np.sqrt(np.sqrt(np.square(k).mean(axis=0) / np.square(q).mean(axis=0)))
    q, k = q * even, k / even
    return damped(q.T @ q / ROWS), damped(k.T @ k / ROWS), even


@given(SEEDS, st.sampled_from([1, 2, 3, 8, 32]))
def test_scores_stay(seed: int, n: int) -> None:
    a, b = balanced_bases(*head(seed, n))
    np.testing.assert_allclose(a.T @ b, np.eye(n), atol=1e-9)


@given(SEEDS, st.sampled_from([1, 2, 3, 8, 32]))
def test_both_sides_get_one_covariance(seed: int, n: int) -> None:
    """A Cq A^T = A^-T Ck A^-1 = F S F^T with the damping."""
    query, key = head(seed, n)
    cq, ck, even = moments(query, key)
    a, b = balanced_bases(query, key)
    a, b = a / even, b * even
    left, right = a @ cq @ a.T, b @ ck @ b.T
    np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-6 * np.abs(left).max())
    diagonal = even_rotation(n) @ left @ even_rotation(n)
    off = diagonal - np.diag(np.diag(diagonal))
    assert np.abs(off).max() < 1e-6 * np.abs(diagonal).max()


@given(SEEDS, st.sampled_from([2, 5, 32]))
def test_no_other_basis_has_less_error(seed: int, n: int) -> None:
    """If steps follow the ranges, the error of scores is sum_c Var(q_c) Var(k_c)."""
    query, key = head(seed, n)
    cq, ck, even = moments(query, key)
    singular = np.sqrt(np.abs(np.linalg.eigvals(cq @ ck)))
    bound = singular.sum() ** 2 / n

    def error(a: Float64, b: Float64) -> float:
        return float(np.diag(a @ cq @ a.T) @ np.diag(b @ ck @ b.T))

    a, b = balanced_bases(query, key)
    assert error(np.eye(n), np.eye(n)) >= bound * (1 - 1e-9)
    assert bound * (1 - 1e-9) <= error(a / even, b * even) <= 2 * bound


@given(SEEDS, st.sampled_from([1, 2, 5, 32]))
def test_a_channel_may_be_large_in_queries_and_small_in_keys(seed: int, n: int) -> None:
    """It is the same model, so the changed queries and keys are the same bits."""
    query, key = head(seed, n)
    power = np.random.default_rng(seed).integers(-20, 21, n)
    a, b = balanced_bases(query, key)
    c, d = balanced_bases(np.ldexp(query, power), np.ldexp(key, -power))
    np.testing.assert_array_equal(np.ldexp(c, power), a)
    np.testing.assert_array_equal(np.ldexp(d, -power), b)


@given(st.integers(1, 70))
def test_the_rotation_is_orthogonal_and_even(n: int) -> None:
    rotation = even_rotation(n)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(n), atol=1e-9)
    np.testing.assert_array_equal(rotation, rotation.T)
    assert np.square(rotation).max() <= 2.0001 / n


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("side", [0, 1])
def test_channels_that_are_always_zero(channels: int, side: int) -> None:
    """A constant key counts as zero, because a softmax does not see it."""
    sides = head(0, 4)
    sides[side][:, :channels] = 7 * side
    a, b = balanced_bases(*sides)
    assert np.isfinite(a).all()
    np.testing.assert_allclose(a.T @ b, np.eye(4), atol=1e-9)


def test_a_head_that_is_always_zero() -> None:
    zeros = np.zeros((9, 4), np.float32)
    a, b = balanced_bases(zeros, zeros + np.float32(1))
    np.testing.assert_allclose(a.T @ b, np.eye(4), atol=1e-9)
