"""Log-probabilities and drawn tokens against their definitions."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from weights_import.arithmetic.distribution import drawn, log_probabilities
from weights_import.arithmetic.functions import exp_of, log_of
from weights_import.tensors import Float32

matrices = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.floats(-200, 200, width=32),
)
numbers = st.integers(0, 2**31 - 1)


def weights(row: list[float]) -> list[float]:
    return [exp_of(x - max(row)) for x in row]


def total(row: list[float]) -> float:
    """The sum of the weights in ascending order of the tokens."""
    found = 0.0
    for weight in weights(row):
        found += weight
    return found


@given(matrices)
def test_log_probabilities(logits: Float32) -> None:
    found = log_probabilities(logits)
    assert found.dtype == np.float64
    for row, x in zip(found.tolist(), logits.tolist(), strict=True):
        assert row == [one - (max(x) + log_of(total(x))) for one in x]
        exact = [math.log(math.fsum(math.exp(y - one) for y in x)) for one in x]
        np.testing.assert_allclose(row, np.negative(exact), atol=1e-12)


@given(matrices, st.data())
def test_drawn(logits: Float32, data: st.DataObject) -> None:
    """The first token at which the sum of the weights exceeds its share of their total."""
    given_numbers = data.draw(st.lists(numbers, min_size=len(logits), max_size=len(logits)))
    found = drawn(logits, np.array(given_numbers, np.int32))
    for token, row, number in zip(found.tolist(), logits.tolist(), given_numbers, strict=True):
        wanted = math.ldexp(number, -31) * total(row)
        sums = [total_until(row, i) for i in range(len(row))]
        assert token == next(i for i, reached in enumerate(sums) if reached > wanted)


def total_until(row: list[float], last: int) -> float:
    found = 0.0
    for weight in weights(row)[: last + 1]:
        found += weight
    return found


def test_a_token_is_drawn_as_often_as_it_is_likely() -> None:
    count = 1 << 14
    logits = np.log(np.array([[0.5, 0.125, 0.25, 0.125]])).astype(np.float32).repeat(count, axis=0)
    evenly = (np.arange(count) * 2**31 // count).astype(np.int32)
    counts = np.bincount(drawn(logits, evenly), minlength=4)
    assert np.abs(counts - count * np.array([0.5, 0.125, 0.25, 0.125])).max() <= 1


def test_the_largest_number_draws_a_token_that_is_possible() -> None:
    logits = np.array([[0, 5, -np.inf, -np.inf]], np.float32)
    assert drawn(logits, np.array([2**31 - 1], np.int32)).tolist() == [1]
