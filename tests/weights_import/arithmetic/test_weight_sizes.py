"""The sizes of the rows and the columns of weights."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from int8ref.spec.pair_sums import largest_sums
from weights_import.arithmetic.column_sizes import column_sizes
from weights_import.arithmetic.row_sizes import row_sizes
from weights_import.tensors import Float32

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 19))
WHOLE = SHAPES.flatmap(lambda s: arrays(np.int16, s, elements=st.integers(-127, 127)))
FLOATS = SHAPES.flatmap(
    lambda s: arrays(np.float32, s, elements=st.floats(-(2.0**60), 2.0**60, width=32))
)


@given(WHOLE)
def test_rows_of_whole_numbers_have_the_sums_of_the_engine(w: np.ndarray) -> None:
    largest, sums = row_sizes(w.astype(np.float64))
    np.testing.assert_array_equal(largest, np.abs(w).max(axis=1))
    np.testing.assert_array_equal(sums, largest_sums(w))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_elements_of_a_quad_are_added_in_ascending_order(sign: int) -> None:
    """2^53 + 1 + 1 rounds to 2^53 each time, but 1 + 1 + 2^53 is exact."""
    for row, expected in (([2.0**53, 1, 1], 2.0**53), ([1, 1, 2.0**53], 2.0**53 + 2)):
        w = np.zeros((1, 8))
        w[0, [0, 1, 4]] = row
        assert row_sizes(sign * w)[1].tolist() == [expected]


@given(FLOATS)
def test_a_column_has_the_root_of_its_mean_square(w: Float32) -> None:
    found = column_sizes(w)
    for k, size in enumerate(found):
        exact = sum((Fraction(float(x)) ** 2 for x in w[:, k]), Fraction(0)) / len(w)
        assert math.isclose(size, math.sqrt(exact), rel_tol=1e-14, abs_tol=1e-300)


def test_no_rows() -> None:
    assert column_sizes(np.zeros((0, 3), np.float32)).tolist() == [0, 0, 0]
