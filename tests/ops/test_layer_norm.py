"""What holds for layer normalisation with any deviation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.layer_norm_l1 import layer_norm_l1
from int8ref.reference.layer_norm_l2 import layer_norm_l2
from tests.ops.cases import Array, Case, run_reference
from tests.ops.test_layer_norm_l1 import cases as l1_cases
from tests.ops.test_layer_norm_l2 import cases as l2_cases


@pytest.mark.parametrize("norm", [layer_norm_l1, layer_norm_l2])
@given(level=st.integers(-32768, 32767), width=st.integers(1, 30))
def test_a_constant_row_gives_its_bias(
    norm: Callable[..., tuple[Array, Array]], level: int, width: int
) -> None:
    bias = np.arange(width, dtype=np.int16) * 4 - 20
    x = np.full((2, width), level, np.int16)
    out, finer = norm(x, np.full(width, 900, np.int16), bias, 1, 3, 0, 3)
    assert out.tolist() == [(np.arange(width) - 5).tolist()] * 2
    assert finer.tolist() == [(2 * bias).tolist()] * 2


@pytest.mark.parametrize("cases", [l1_cases(), l2_cases()], ids=["l1", "l2"])
@given(data=st.data(), offset=st.integers(-100, 100))
def test_shifted_rows_are_equal(
    cases: st.SearchStrategy[Case], data: st.DataObject, offset: int
) -> None:
    case = data.draw(cases)
    x = (case.values["x"] // 2).astype(np.int16)
    moved = (x + offset).astype(np.int16)
    one, other = (run_reference(Case(case.instruction, {"x": v}, case.tensors)) for v in (x, moved))
    for place, array in one.items():
        np.testing.assert_array_equal(array, other[place])
