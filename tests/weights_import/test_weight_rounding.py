"""Nearest-plane rounding equals its definition in exact numbers, and keeps its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref.spec.pair_sums import fits
from tests.kernels.quad_weights import within_quads
from weights_import.scale_propagation import quantize, row_scales
from weights_import.weight_rounding import BLOCK, Inputs, round_weight

Float64 = NDArray[np.float64]


def correlated(rows: int, channels: int, seed: int) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    mixing = random.normal(0, 1, (channels, channels)) / np.sqrt(channels)
    loud = np.exp(random.normal(0, 1, channels))
    hidden = random.normal(0, 1, (rows, channels)) * loud
    return (hidden @ mixing.T).astype(np.float32)


def defined(w: Float64, inputs: Inputs) -> Float64:
    """Apply the definition in the docstring, one element at a time."""
    factor, found = inputs.factor.astype(np.float64), np.zeros_like(w)
    for row, q in zip(w, found, strict=True):
        for place in reversed(range(len(row))):
            t = row[inputs.order[place]]
            for later in range(place + 1, len(row)):
                error = row[inputs.order[later]] - q[inputs.order[later]]
                t += error * factor[later, place] / factor[place, place]
            q[inputs.order[place]] = min(max(round(t), -127), 127)
    return found


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, BLOCK, BLOCK + 1, 2 * BLOCK + 9]))
def test_it_is_what_it_is_defined_to_be(seed: int, channels: int) -> None:
    """The numbers have few bits, so float32 computes without an error."""
    random = np.random.default_rng(seed)
    few = random.random((channels, channels)) < min(1.0, 2 / channels)
    factor = np.eye(channels) + np.tril(few * random.integers(-1, 2, few.shape) / 2, -1)
    inputs = Inputs(random.permutation(channels), factor.astype(np.float32))
    w = random.integers(-140 * 8, 141 * 8, (3, channels)) / 8
    found = round_weight(w * 0.5, np.array([0.5]), inputs)
    np.testing.assert_array_equal(found.x, defined(w, inputs))


@given(st.integers(0, 2**32 - 1))
def test_uncorrelated_inputs_give_the_nearest_integers(seed: int) -> None:
    random = np.random.default_rng(seed)
    w = random.normal(0, 1, (4, 30))
    factor = np.diag(random.uniform(0.1, 3, 30)).astype(np.float32)
    found = round_weight(w, row_scales(w), Inputs(random.permutation(30), factor))
    expected = quantize(w, row_scales(w))
    distance = np.abs(w / expected.scale[:, None] % 1 - 0.5)
    assert np.all((found.x == expected.x) | (distance < 1e-4))


@pytest.mark.parametrize("channels", [12, 150])
def test_every_remaining_error_is_below_half_a_step(channels: int) -> None:
    """Babai's bound: along the columns of the factor, the error is at most half of the diagonal."""
    inputs = Inputs.of(correlated(2000, channels, 1), np.ones(1))
    w = np.random.default_rng(2).uniform(-1, 1, (40, channels))
    found = round_weight(w, np.array([1 / 60]), inputs)
    error = (w / found.scale - found.x)[:, inputs.order] @ inputs.factor
    assert np.all(np.abs(error) <= np.diag(inputs.factor) * 0.5001)


def test_outputs_move_less_than_with_nearest_rounding() -> None:
    """Measured on rows that did not determine the factor."""
    x = correlated(6000, 100, 3)
    w = np.random.default_rng(4).normal(0, 1, (50, 100))
    scale = row_scales(w)
    plane = round_weight(w, scale, Inputs.of(x[:3000], np.ones(1)))
    nearest = quantize(w, scale)

    def error(q: NDArray[np.int8]) -> float:
        return float(np.square(x[3000:] @ (q * scale[:, None] - w).T).mean())

    assert error(plane.x) < 0.6 * error(nearest.x)


def test_inputs_are_the_gram_matrix_in_units_of_the_scale() -> None:
    x = correlated(500, 7, 5)
    scale = np.linspace(0.5, 2, 7)
    inputs = Inputs.of(x, scale)
    gram = (x / scale).T @ (x / scale) / 500
    damping = 0.1 * np.trace(gram) / 7
    assert np.all(np.diff(np.diag(gram)[inputs.order]) >= 0)
    expected = (gram + damping * np.eye(7))[np.ix_(inputs.order, inputs.order)]
    np.testing.assert_allclose(inputs.factor @ inputs.factor.T, expected, rtol=1e-4)


def test_inputs_that_are_always_zero() -> None:
    w = np.random.default_rng(6).normal(0, 1, (3, 9))
    found = round_weight(w, row_scales(w), Inputs.of(np.zeros((10, 9), np.float32), np.ones(1)))
    np.testing.assert_array_equal(found.x, quantize(w, row_scales(w)).x)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 8, BLOCK + 1, 2 * BLOCK + 9]))
def test_quads_take_no_more_than_there_is(seed: int, channels: int) -> None:
    """Quads never exceed the limit.  With coarse scales, the weights hardly change."""
    random = np.random.default_rng(seed)
    w = random.standard_t(3, (5, channels))
    inputs = Inputs.of(correlated(200, channels, seed), np.ones(1))
    fine, coarse = row_scales(w), row_scales(w, quads=True)
    assert np.all(coarse >= fine)
    assert fits(round_weight(w, fine, inputs, in_quads=True).x)
    found = round_weight(w, coarse, inputs, in_quads=True)
    assert fits(found.x)
    free = round_weight(w, coarse, inputs)
    assert np.mean(np.abs(found.x.astype(int) - free.x)) < 1


@given(st.integers(0, 2**32 - 1))
def test_a_quad_at_its_limit_is_full(seed: int) -> None:
    """Exact multiples of the scale do not change."""
    random = np.random.default_rng(seed)
    integers = within_quads(random.integers(-127, 128, (4, 30)).astype(np.int8))
    inputs = Inputs.of(correlated(100, 30, seed), np.ones(1))
    found = round_weight(integers / 4.0, np.full(4, 0.25), inputs, in_quads=True)
    np.testing.assert_array_equal(found.x, np.maximum(integers, -127))
