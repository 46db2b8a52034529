"""narrow: 16-bit data in 8 bits, compared with exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.narrow import Narrow
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows, width = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    factors = (draw(st.sampled_from([1, width])),)
    return Case(
        Narrow(x="x", multiplier="multiplier", shift="shift", out="out"),
        {"x": draw(integers("int16", (rows, width)))},
        {
            "multiplier": draw(integers("int16", factors, 0)),
            "shift": draw(integers("int8", (1,), 1, 62)),
        },
    )


@given(cases())
def test_is_exact(case: Case) -> None:
    found = run_reference(case)["out"]
    assert found.dtype == np.int8
    multipliers, shift = case.tensors["multiplier"].tolist(), int(case.tensors["shift"][0])
    for row, results in zip(case.values["x"].tolist(), found.tolist(), strict=True):
        for n, (x, out) in enumerate(zip(row, results, strict=True)):
            factor = Fraction(multipliers[n % len(multipliers)], 1 << shift)
            assert out == max(-127, min(127, floor(x * factor + Fraction(1, 2))))
