"""lookup: a table of 256 values."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.lookup import Lookup
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    dtype = draw(st.sampled_from(["int8", "int16"]))
    return Case(
        Lookup(x="x", table="table", out="out"),
        {"x": draw(integers("int8", shape))},
        {"table": draw(integers(dtype, (256,)))},
    )


@given(cases())
def test_is_the_table(case: Case) -> None:
    table, found = case.tensors["table"].tolist(), run_reference(case)["out"]
    assert found.tolist() == [
        [table[code + 128] for code in row] for row in case.values["x"].tolist()
    ]
    assert found.dtype == case.tensors["table"].dtype


def test_every_code() -> None:
    table = np.arange(256, dtype=np.int16)[::-1].copy()
    codes = np.arange(-128, 128).astype(np.int8)[None]
    case = Case(Lookup(x="x", table="table", out="out"), {"x": codes}, {"table": table})
    assert run_reference(case)["out"].tolist() == [list(range(255, -1, -1))]
