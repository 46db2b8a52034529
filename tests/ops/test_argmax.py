"""argmax: the lowest index of the largest element."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.argmax import Argmax
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    return Case(Argmax(x="x", out="out"), {"x": draw(integers("int32", shape))})


@given(cases())
def test_is_the_lowest_of_the_largest(case: Case) -> None:
    found = run_reference(case)["out"]
    rows = case.values["x"].tolist()
    assert found.tolist() == [row.index(max(row)) for row in rows]
    assert found.dtype == np.int32
