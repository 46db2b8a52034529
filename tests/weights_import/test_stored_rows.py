"""Changes of tensors at reading: against plain loops over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weights_import.errors import CheckpointError
from weights_import.operations.heads import Heads
from weights_import.sources import stored_rows
from weights_import.tensors import Float32, Stored

SMALL = st.integers(1, 4)


def tensor(*shape: int) -> tuple[Float32, Stored]:
    """Return numbers that are all different, and the tensor of them."""
    values = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    return values, Stored("x", shape, lambda: values, bfloat16=True)


@given(groups=SMALL, inner=SMALL, size=SMALL, columns=st.sampled_from([None, 1, 3]), data=st.data())
def test_part(groups: int, inner: int, size: int, columns: int | None, data: Any) -> None:
    rest = () if columns is None else (columns,)
    values, stored = tensor(groups * inner * size, *rest)
    first = data.draw(st.integers(0, inner - 1))
    count = data.draw(st.integers(1, inner - first))
    found = stored_rows.part(stored, (groups, inner, size), 1, first, count)
    rows = [
        (g * inner + i) * size + c
        for g in range(groups)
        for i in range(first, first + count)
        for c in range(size)
    ]
    np.testing.assert_array_equal(found.read(), values[rows])
    assert (found.shape, found.bfloat16) == (found.read().shape, True)


@given(count=SMALL, pairs=st.integers(0, 3), kept=st.integers(0, 2), matrix=st.booleans())
def test_halves(count: int, pairs: int, kept: int, matrix: bool) -> None:
    size = 2 * pairs + kept + (pairs + kept == 0)
    values, stored = tensor(count * size, *([2] if matrix else []))
    order = [*range(0, 2 * pairs, 2), *range(1, 2 * pairs, 2), *range(2 * pairs, size)]
    rows = [h * size + c for h in range(count) for c in order]
    found = stored_rows.halves(stored, count, size, pairs)
    np.testing.assert_array_equal(found.read(), values[rows])


def test_turned_columns_are_scaled_alone() -> None:
    heads = Heads(2, 3, 1, (1.0,))
    for shape in ((6,), (6, 2)):
        values, stored = tensor(*shape)
        found = stored_rows.turned_scaled(stored, heads, 1.5)
        factors = np.array([1.5, 1.5, 1, 1.5, 1.5, 1], np.float32)
        np.testing.assert_array_equal(found.read(), (values.T * factors).T)
        assert not found.bfloat16
    assert stored_rows.turned_scaled(stored, heads, 1.0) is stored


def test_other_changes() -> None:
    values, stored = tensor(4, 2)
    assert stored_rows.scaled(stored, 1.0) is stored
    for found, wanted in (
        (stored_rows.scaled(stored, 0.25), values / 4),
        (stored_rows.one_more(stored), values + 1),
    ):
        np.testing.assert_array_equal(found.read(), wanted)
        assert not found.bfloat16
    np.testing.assert_array_equal(stored_rows.transposed(stored).read(), values.T)
    assert stored_rows.transposed(stored).shape == (2, 4)
    np.testing.assert_array_equal(stored_rows.later(stored, 3).read(), values[3:])
    assert stored_rows.later(stored, 3).shape == (1, 2)


@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (12, 2), (1 << 32, 0)])
def test_another_number_of_rows(shape: tuple[int, ...]) -> None:
    stored = Stored("x", shape, lambda: np.empty(shape, np.float32))
    for change in (
        lambda: stored_rows.part(stored, (2, 3), 0, 1),
        lambda: stored_rows.halves(stored, 2, 3, 1),
        lambda: stored_rows.turned_scaled(stored, Heads(2, 3, 1, (1.0,)), 2.0),
    ):
        with pytest.raises(CheckpointError, match=r"x: the shape .* has not 6 rows"):
            change()
    with pytest.raises(CheckpointError, match=r"has no row"):
        stored_rows.later(stored, 1 << 33)
