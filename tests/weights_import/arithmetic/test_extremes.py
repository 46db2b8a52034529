"""The least and the largest value of every column."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from weights_import.arithmetic.extremes import extremes
from weights_import.tensors import Float32

matrices = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(width=32)
)


@given(matrices)
def test_columns(x: Float32) -> None:
    """A column with a value that is no number has no ends."""
    low, high = extremes(x)
    assert low.dtype == high.dtype == np.float32
    np.testing.assert_array_equal(low, x.min(axis=0))
    np.testing.assert_array_equal(high, x.max(axis=0))


def test_a_value_that_is_no_number_is_seen_in_any_row() -> None:
    for row in range(4):
        x = np.arange(8, dtype=np.float32).reshape(4, 2)
        x[row, 1] = np.nan
        low, high = extremes(x)
        np.testing.assert_array_equal([low, high], [[0, np.nan], [6, np.nan]])


def test_columns_that_are_not_side_by_side() -> None:
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    for part in (x[::3, ::-1], x.T, np.asfortranarray(x)):
        low, high = extremes(part)
        np.testing.assert_array_equal([low, high], [part.min(axis=0), part.max(axis=0)])


def test_without_rows() -> None:
    low, high = extremes(np.zeros((0, 3), np.float32))
    assert low.tolist() == high.tolist() == [0, 0, 0]
