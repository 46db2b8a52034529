"""Factors, inverses, singular values and products against their formulas in Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from weights_import.arithmetic import algebra
from weights_import.arithmetic.product import DEPTH
from weights_import.arithmetic.tile import STRIP

Matrix = NDArray[np.float64]
sizes = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)


def random_matrix(seed: int, *shape: int) -> Matrix:
    return np.random.default_rng(seed).normal(size=shape)


def definite(seed: int, size: int) -> Matrix:
    x = random_matrix(seed, 2 * size + 1, size)
    return algebra.second_moment(x)


def factor(a: Matrix) -> Matrix:
    """The formula of `cholesky`, one rounding after another."""
    size = len(a)
    found = np.zeros((size, size))
    for j in range(size):
        for i in range(j, size):
            value = float(a[i, j])
            for c in range(j):
                value -= found[i, c] * found[j, c]
            found[i, j] = math.sqrt(value) if i == j else value / found[j, j]
    return found


@given(seeds, sizes)
def test_small_cholesky(seed: int, size: int) -> None:
    a = definite(seed, size)
    above = np.triu(np.full((size, size), np.nan), 1)
    assert (algebra.small_cholesky(a) == factor(a)).all()
    assert (algebra.small_cholesky(np.tril(a) + above) == factor(a)).all()


def large_factor(a: NDArray[np.float32]) -> NDArray[np.float32]:
    """The formula of the large factor, with NumPy in float32 and `factor` in float64."""
    size = len(a)
    found = np.zeros((size, size), np.float32)
    for b in range(0, size, STRIP):
        end = min(b + STRIP, size)
        t = a[b:, b:end].copy()
        for first in range(0, b, DEPTH):
            block = np.zeros_like(t)
            for c in range(first, min(first + DEPTH, b)):
                block = block + found[b:, c, None] * -found[b:end, c]
            t = t + block
        strip = t.astype(np.float64)
        for j in range(end - b):
            for c in range(j):
                strip[j:, j] -= strip[j:, c] * strip[j, c]
            strip[j, j] = np.sqrt(strip[j, j])
            strip[j + 1 :, j] /= strip[j, j]
        found[b:, b:end] = strip
    return np.tril(found)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("size", [1, 31, 32, 33, 65, 300, 353])
def test_cholesky(size: int, count: int, use_threads: Callable[[int], None]) -> None:
    use_threads(count)
    a = definite(size, size).astype(np.float32)
    found = algebra.cholesky(a)
    assert (found == large_factor(a)).all()
    residual = found.astype(np.float64) @ found.T.astype(np.float64) - a
    assert np.abs(residual).max() < 1e-6 * a.max()
    assert found.flags.c_contiguous
    assert (algebra.cholesky(np.asfortranarray(a)) == found).all()


@pytest.mark.parametrize("size", [1, 32, 40, 100])
def test_what_is_not_positive_definite(size: int) -> None:
    a = np.eye(size)
    for value in (0.0, -1.0, np.nan):
        a[-1, -1] = value
        with pytest.raises(ValueError, match=f"not positive definite: pivot {size - 1}"):
            algebra.cholesky(a.astype(np.float32))
        with pytest.raises(ValueError, match=f"not positive definite: pivot {size - 1}"):
            algebra.small_cholesky(a)


@given(seeds, sizes)
def test_inverse_of_lower(seed: int, size: int) -> None:
    lower = algebra.small_cholesky(definite(seed, size))
    expected = np.eye(size)
    for i in range(size):
        for k in range(i):
            expected[i] = expected[i] - lower[i, k] * expected[k]
        expected[i] = expected[i] / lower[i, i]
    found = algebra.inverse_of_lower(lower)
    assert (found == expected).all()
    assert np.abs(lower @ found - np.eye(size)).max() < 1e-10


def check_singular_values(a: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    u, s, v = algebra.singular_values(a)
    rank = min(a.shape)
    assert (u.shape, s.shape, v.shape) == ((len(a), rank), (rank,), (a.shape[1], rank))
    assert (np.diff(s) <= 0).all()
    assert (s >= 0).all()
    scale = np.abs(a).max(initial=0) or 1.0
    assert np.abs(a / scale - u * (s / scale) @ v.T).max() < 1e-14 * max(a.shape)
    for side in (u, v):
        assert np.abs(side.T @ side - np.eye(rank)).max() < 1e-14 * max(a.shape)
    expected = np.linalg.svd(a / scale, compute_uv=False)
    assert np.abs(s / scale - expected).max() < 1e-14 * max(a.shape)
    return u, s, v


@given(seeds, sizes, sizes)
def test_singular_values(seed: int, m: int, n: int) -> None:
    a = random_matrix(seed, m, n)
    _, s, _ = check_singular_values(a)
    for power in (-600, 600):  # squares would overflow
        assert (algebra.singular_values(np.ldexp(a, power))[1] == np.ldexp(s, power)).all()


@given(seeds, sizes, sizes, st.integers(0, 4))
def test_singular_values_without_full_rank(seed: int, m: int, n: int, rank: int) -> None:
    check_singular_values(random_matrix(seed, m, rank) @ random_matrix(seed + 1, rank, n))


@given(seeds, sizes, sizes)
def test_singular_values_of_columns_that_repeat(seed: int, m: int, n: int) -> None:
    random = np.random.default_rng(seed)
    check_singular_values(random.integers(-1, 2, (m, n)).astype(float))


def test_singular_values_of_a_large_matrix() -> None:
    check_singular_values(random_matrix(0, 100, 64))
    check_singular_values(random_matrix(1, 64, 64) * 10.0 ** -np.arange(64))


def test_equal_singular_values_keep_their_order() -> None:
    values = np.arange(60) % 4
    u, s, v = algebra.singular_values(np.diag(values.astype(float)))
    order = sorted(range(60), key=lambda i: -values[i])
    assert s.tolist() == values[order].tolist()
    assert (v == np.eye(60)[:, order]).all()
    assert (u == v).all()


@given(seeds, sizes, sizes, sizes)
def test_small_product(seed: int, m: int, k: int, n: int) -> None:
    a, b = random_matrix(seed, m, k), random_matrix(seed + 1, k, n)
    expected = np.zeros((m, n))
    for c in range(k):
        expected = expected + a[:, c, None] * b[c]
    assert (algebra.small_product(a, b) == expected).all()
    assert (algebra.small_product(np.asfortranarray(a), b[:, ::-1])[:, ::-1] == expected).all()
    exact = sum(Fraction(float(a[0, c])) * Fraction(float(b[c, 0])) for c in range(k))
    assert abs(Fraction(float(expected[0, 0])) - exact) < Fraction(1, 2**40)


@pytest.mark.parametrize("rows", [0, 1, 127, 128, 129, 300])
def test_second_moment(rows: int) -> None:
    x = random_matrix(rows, rows, 9)
    expected = np.zeros((9, 9))
    for row in x:
        expected = expected + row[:, None] * row
    assert (algebra.second_moment(x) == expected).all()
    assert (algebra.second_moment(np.asfortranarray(x)) == expected).all()
