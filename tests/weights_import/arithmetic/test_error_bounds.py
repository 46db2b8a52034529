"""Sums, percentiles and probabilities against exact fractions, within the bounds of their errors.

The other tests of these modules ask for the bits of the stated order.  A wrong statement of the
order would pass them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weights_import.arithmetic.distribution import drawn, log_probabilities
from weights_import.arithmetic.extremes import extremes
from weights_import.arithmetic.sums import dot, squared_distance, sum_of_squares
from weights_import.arithmetic.thresholds import percentile, threshold
from weights_import.tensors import Float32, Float64

LARGEST = 2.0**100
UNIT = Fraction(1, 2**53)
"""The largest relative error of one operation."""
NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-100)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=50)
MAGNITUDES = st.lists(st.floats(0, LARGEST, width=32), min_size=1, max_size=60).map(
    lambda x: np.array(x, np.float32)
)


def growth(operations: int) -> Fraction:
    """The relative error of a term after some operations (Higham 2002, Lemma 3.1)."""
    return operations * UNIT / (1 - operations * UNIT)


def columns(pairs: list[tuple[float, float]]) -> tuple[Float64, Float64]:
    a, b = np.array(pairs, np.float64).reshape(-1, 2).T
    return a, b


@given(PAIRS)
def test_dot(pairs: list[tuple[float, float]]) -> None:
    terms = [Fraction(a) * Fraction(b) for a, b in pairs]
    error = abs(Fraction(dot(*columns(pairs))) - sum(terms))
    assert error <= growth(len(pairs) + 1) * sum(map(abs, terms))


@given(PAIRS)
def test_squares(pairs: list[tuple[float, float]]) -> None:
    a, b = columns(pairs)
    distance = sum((Fraction(x) - Fraction(y)) ** 2 for x, y in pairs)
    assert abs(Fraction(squared_distance(a, b)) - distance) <= growth(len(pairs) + 3) * distance
    squares = sum(Fraction(x) ** 2 for x, _ in pairs)
    assert abs(Fraction(sum_of_squares(a)) - squares) <= growth(len(pairs) + 1) * squares


@pytest.mark.parametrize("function", [dot, squared_distance])
def test_whole_numbers_are_exact(function: Callable[[Float64, Float64], float]) -> None:
    x = np.arange(-50.0, 50)
    assert function(x, np.zeros(100)) == (0 if function is dot else sum_of_squares(x))
    assert sum_of_squares(x) == dot(x, x) == sum(i * i for i in range(-50, 50))
    assert function(np.zeros(0), np.zeros(0)) == 0


@given(MAGNITUDES, st.floats(0, 100))
def test_percentile(x: Float32, share: float) -> None:
    """The rank has a relative error of two operations; it moves the value along its slope."""
    rank = Fraction(share) / 100 * (len(x) - 1)
    ordered = sorted(map(Fraction, x.tolist()))
    below = int(rank)
    low, high = ordered[below], ordered[min(below + 1, len(x) - 1)]
    exact = low + (high - low) * (rank - below)
    steepest = max((b - a for a, b in pairwise(ordered)), default=Fraction(0))
    bound = steepest * rank * growth(2) + ordered[-1] * growth(4)
    assert abs(Fraction(percentile(x, share)) - exact) <= bound


@given(MAGNITUDES, st.floats(0, 100), st.floats(0, 100))
def test_percentiles_rise(x: Float32, a: float, b: float) -> None:
    low, high = sorted((a, b))
    found = [percentile(x, share) for share in (0, low, high, 100)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (x.min(), x.max())


@given(MAGNITUDES)
def test_thresholds_do_not_exceed_the_largest_magnitude(x: Float32) -> None:
    """The order and the shape of the magnitudes change nothing but the sums of a bin."""
    largest = threshold(x, "max")
    assert largest == x.max()
    assert 0 <= threshold(x, "mse") <= largest
    assert (threshold(x, "mse") == 0) == (largest == 0)
    for method in ("max", "percentile:70"):
        assert threshold(x[::-1].reshape(1, -1), method) == threshold(x, method)


@given(arrays(np.float32, (7, 5), elements=st.floats(-LARGEST, LARGEST, width=32)))
def test_extremes_of_a_part(x: Float32) -> None:
    """More rows make the ends wider, and a row lies between its ends."""
    low, high = extremes(x)
    assert (low <= x).all()
    assert (x <= high).all()
    for rows in range(1, 8):
        some_low, some_high = extremes(x[:rows])
        assert (low <= some_low).all()
        assert (some_high <= high).all()
    once = extremes(x[3:4])
    np.testing.assert_array_equal(once, [x[3], x[3]])


LOGITS = arrays(np.float32, (3, 9), elements=st.floats(-80, 80, width=32))


@given(LOGITS)
def test_probabilities_have_the_sum_one(logits: Float32) -> None:
    for row in log_probabilities(logits):
        assert max(row) <= 1e-12
        assert abs(math.fsum(map(math.exp, row)) - 1) < 1e-11


@given(LOGITS, st.integers(-20, 20))
def test_a_constant_changes_no_probability(logits: Float32, constant: int) -> None:
    """It changes none at all if the logits and the constant are whole."""
    whole = np.rint(logits)
    moved = whole + np.float32(constant)
    np.testing.assert_allclose(log_probabilities(moved), log_probabilities(whole), atol=1e-12)
    numbers = np.array([0, 2**30, 2**31 - 1], np.int32)
    np.testing.assert_array_equal(drawn(moved, numbers), drawn(whole, numbers))


@given(LOGITS, st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_a_larger_number_draws_no_earlier_token(logits: Float32, a: int, b: int) -> None:
    low, high = (drawn(logits, np.full(3, number, np.int32)) for number in sorted((a, b)))
    assert (low <= high).all()
