"""Buckets of relative positions, and linear biases: the tables of addends that they make."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from decoder_definitions import slopes
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.reference.attention import MAX_KEYS
from weights_import.errors import CheckpointError
from weights_import.operations.addend import shortest
from weights_import.sources import linear_biases
from weights_import.sources.relative_buckets import Buckets
from weights_import.tensors import Stored

FIRSTS = {
    # of T5's 32 buckets up to 128, by transformers 5.24.0: the first distance of each bucket
    False: [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91],
    True: [*range(16), 16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113],
}


@pytest.mark.parametrize("causal", [False, True])
def test_the_buckets_of_t5(causal: bool) -> None:
    listed = Buckets(32, 128, causal).listed()
    assert [listed.index(bucket) for bucket in sorted(set(listed))] == FIRSTS[causal]
    assert listed == sorted(listed)
    assert len(listed) == FIRSTS[causal][-1] + 1


@given(st.integers(2, 40), st.integers(2, 2000), st.booleans())
def test_the_buckets_are_those_of_the_formula(half: int, farthest: int, causal: bool) -> None:
    """exact + rest * log(n / exact) / log(farthest / exact), rounded down, in exact powers."""
    buckets = Buckets(half if causal else 2 * half, farthest, causal)
    exact, rest = half // 2, half - half // 2
    if farthest <= exact:
        with pytest.raises(CheckpointError, match="buckets of relative positions up to a distance"):
            buckets.check()
        return
    buckets.check()
    listed = buckets.listed()
    assert listed[:exact] == list(range(exact))
    assert len(listed) == MAX_KEYS or listed.index(half - 1) == len(listed) - 1
    for n in range(exact, len(listed)):
        share, k = Fraction(n, exact) ** rest, listed[n] - exact
        assert Fraction(farthest, exact) ** k <= share
        assert k == rest - 1 or share < Fraction(farthest, exact) ** (k + 1)


@pytest.mark.parametrize("causal", [False, True])
def test_the_table_has_the_bias_of_each_distance(causal: bool) -> None:
    biases = np.arange(24, dtype=np.float32).reshape(8, 3)
    buckets = Buckets(8, 20, causal)
    addend = buckets.addend("table")
    table = buckets.spread(Stored.of(biases, "biases"), 3).read()
    assert table.shape == (3, addend.distances)
    listed = buckets.listed()
    for distance in range(-addend.before, addend.after + 1):
        row = listed[abs(distance)] + (4 if distance > 0 else 0)
        assert table[:, addend.before + distance].tolist() == biases[row].tolist()
    assert addend.after == (0 if causal else addend.before)


@settings(max_examples=5)
@given(st.integers(1, 40))
def test_linear_biases_are_those_of_the_paper(heads: int) -> None:
    table, addend = linear_biases.table(heads).read(), linear_biases.addend()
    assert table.shape == (heads, addend.distances)
    assert (addend.before, addend.after) == (MAX_KEYS - 1, 0)
    wanted = -np.outer(slopes(heads), np.arange(MAX_KEYS)[::-1])
    np.testing.assert_allclose(table, wanted, rtol=1e-7)
    assert math.isclose(slopes(heads)[min(heads, 1 << (heads.bit_length() - 1)) - 1], 2**-8)


def test_heads_that_no_model_has() -> None:
    with pytest.raises(CheckpointError, match="5000 heads with linear biases, at most 256 are"):
        linear_biases.table(5000)


@given(st.data(), st.integers(0, 6), st.integers(0, 6), st.integers(0, 9))
def test_a_shorter_table_has_the_same_addends(
    data: st.DataObject, before: int, after: int, farthest: int
) -> None:
    shape = (2, before + 1 + after)
    columns = data.draw(st.lists(st.integers(0, 1), min_size=shape[1], max_size=shape[1]))
    table = np.array([columns, [7 * x for x in columns]], np.int32)
    found, first = shortest(table, before, farthest)
    assert found.shape[1] <= shape[1]
    for distance in range(-farthest, farthest + 1):
        wanted = table[:, min(max(before + distance, 0), shape[1] - 1)]
        column = min(max(first + distance, 0), found.shape[1] - 1)
        assert found[:, column].tolist() == wanted.tolist()
    again, _ = shortest(found, first, farthest)
    assert again.shape == found.shape
