"""Thresholds against their definitions: exhaustive searches and ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from weights_import.arithmetic.thresholds import BINS, CANDIDATES, COARSE, threshold
from weights_import.tensors import Float32

METHODS = "max", "mse", "percentile:99"


def drawn(kind: str, seed: int, count: int = 20000) -> Float32:
    random = np.random.default_rng(seed)
    values = {
        "normal": random.normal(0, 3, count),
        "outliers": random.standard_t(3, count),
        "relu": np.maximum(random.normal(-1, 1, count), 0),
        "uniform": random.uniform(-1, 1, count),
        "few": random.normal(0, 1, 3),
    }[kind]
    return np.abs(values).astype(np.float32)


kinds = st.sampled_from(["normal", "outliers", "relu", "uniform", "few"])


def error(x: NDArray[np.float64], threshold: float) -> float:
    """The mean squared error of the integers for these magnitudes."""
    step = threshold / 127
    return float(np.mean((x - step * np.minimum(np.rint(x / step), 127)) ** 2))


@pytest.mark.parametrize("kind", ["normal", "outliers", "relu", "uniform", "few"])
@pytest.mark.parametrize("seed", [0, 1])
def test_mse_is_nearly_the_best_of_all(kind: str, seed: int) -> None:
    x = drawn(kind, seed)
    exact = x.astype(np.float64)
    best = min(error(exact, t) for t in np.linspace(0.05, 1, 400) * float(x.max()))
    limit = 3.0 if kind == "few" else 1.03
    assert error(exact, threshold(x, "mse")) <= limit * best


def binned(x: list[float], largest: float) -> list[tuple[int, float]]:
    """The number and the mean of the magnitudes of each bin that is not empty."""
    found: dict[int, list[float]] = {}
    for value in x:
        found.setdefault(int(value * ((BINS - 1) / largest)), []).append(value)
    return [(len(found[i]), sum(found[i]) / len(found[i])) for i in sorted(found)]


def summed(bins: list[tuple[int, float]], t: float) -> float:
    total = 0.0
    for count, mean in bins:
        step = t / 127
        distance = mean - step * min(float(np.rint(mean / step)), 127.0)
        total += count * (distance * distance)
    return total


def least_error(x: Float32) -> float:
    """The definition in Python, without the power of two that guards against overflow."""
    largest = float(x.max())
    bins = binned(x.tolist(), largest)
    errors = {i: summed(bins, float(CANDIDATES[i]) * largest) for i in range(0, 193, COARSE)}
    near = min(errors, key=lambda i: errors[i])
    around = range(max(0, near - COARSE + 1), min(near + COARSE, 193))
    best = min(around, key=lambda i: summed(bins, float(CANDIDATES[i]) * largest))
    return float(CANDIDATES[best]) * largest


@given(kinds, st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_mse_is_what_it_is_defined_to_be(kind: str, seed: int, count: int) -> None:
    x = drawn(kind, seed, count)
    if x.any():
        assert threshold(x, "mse") == least_error(x)


def test_candidates() -> None:
    assert CANDIDATES[::32].tolist() == [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64]
    np.testing.assert_allclose(CANDIDATES, 2.0 ** (-np.arange(193) / 32), rtol=1e-15)


@given(kinds, st.integers(0, 2**32 - 1), st.integers(-140, 110), st.sampled_from(METHODS))
def test_powers_of_two_change_nothing_else(kind: str, seed: int, power: int, method: str) -> None:
    """Values may be as large or as small as float32 allows, if they are exact."""
    whole = np.rint(drawn(kind, seed, 50) * 8).astype(np.float32)
    moved = np.ldexp(whole, power).astype(np.float32)
    expected = np.ldexp(threshold(whole, method), power)
    if (np.ldexp(moved.astype(np.float64), -power) == whole).all():
        assert threshold(moved, method) == expected


@pytest.mark.parametrize("size", [3e38, 1e-36, 1e-44])
def test_ends_of_float32(size: float) -> None:
    x = np.abs(np.array([1, 0.9, 0.5]) * size).astype(np.float32)
    assert threshold(x, "max") == x.max()
    assert 0.8 * size < threshold(x, "mse") <= 1.3 * size


@given(kinds, st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0, 100))
def test_percentiles(kind: str, seed: int, count: int, share: float) -> None:
    x = drawn(kind, seed, count)
    found = threshold(x.reshape(-1, 1), f"percentile:{share}")
    expected = np.percentile(x.astype(np.float64), share)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_ranks() -> None:
    x = np.array([[8, 1], [2, 4]], np.float32)
    found = [threshold(x, f"percentile:{share}") for share in (0, 50, 75, 100)]
    assert found == [1, 3, 5, 8]
    assert threshold(x, "max") == 8


@pytest.mark.parametrize("method", METHODS)
def test_nothing_and_zeros(method: str) -> None:
    assert threshold(np.zeros((0, 3), np.float32), method) == 0
    assert threshold(np.zeros((2, 3), np.float32), method) == 0


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("best", "unknown method 'best'"),
        ("percentile:", "could not convert"),
        ("percentile:101", "outside the range"),
        ("percentile:-1", "outside the range"),
        ("percentile:nan", "outside the range"),
    ],
)
def test_methods_that_are_refused(method: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        threshold(np.ones((2, 6), np.float32), method)
