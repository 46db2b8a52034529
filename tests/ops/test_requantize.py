"""requantize: accumulators on a new scale, compared with exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.requantize import Requantize
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows, width = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    factors = (draw(st.sampled_from([1, width])),)
    limit = draw(st.sampled_from([1, 127, 32766, 32767]) | st.integers(1, 32767))
    return Case(
        Requantize(x="x", multiplier="multiplier", shift="shift", limit=limit, out="out"),
        {"x": draw(integers("int32", (rows, width)))},
        {
            "multiplier": draw(integers("int16", factors, 0)),
            "shift": draw(integers("int8", (1,), 1, 62)),
        },
    )


@given(cases())
def test_is_exact(case: Case) -> None:
    x, limit = case.values["x"], case.instruction.limit  # type: ignore[attr-defined]
    found = run_reference(case)["out"]
    for (row, n), out in zip(ndindex(x.shape), found.flat, strict=True):
        at = n if len(case.tensors["multiplier"]) > 1 else 0
        factor = Fraction(int(case.tensors["multiplier"][at]), 1 << int(case.tensors["shift"][0]))
        wanted = floor(int(x[row, n]) * factor + Fraction(1, 2))
        assert out == max(-limit, min(limit, wanted))


def ndindex(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(row, n) for row in range(shape[0]) for n in range(shape[1])]
