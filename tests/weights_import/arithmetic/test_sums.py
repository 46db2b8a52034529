"""Sums in the stated order, bit for bit those of Python's own floats."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weights_import.arithmetic.sums import dot, squared_distance, sum_of_squares

NUMBERS = st.floats(-1e100, 1e100)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=40)


@given(PAIRS)
def test_sums_go_from_the_first_to_the_last(pairs: list[tuple[float, float]]) -> None:
    squares = products = distances = 0.0
    for a, b in pairs:
        squares += a * a
        products += a * b
        distances += (a - b) * (a - b)
    table = np.array(pairs, np.float64).reshape(-1, 2)
    a, b = table[:, 0], table[:, 1]  # of rows that are not side by side
    assert (sum_of_squares(a), dot(a, b), squared_distance(a, b)) == (squares, products, distances)
