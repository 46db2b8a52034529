"""rescale: the smallest shift that brings a row to 8 bits, compared with unbounded integers."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.rescale import MAX_EXPONENT, Rescale, rescale
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 70))
    reach = draw(st.sampled_from([1, 127, 128, 5000, 32767]))
    return Case(
        Rescale(
            x="x",
            low=draw(st.sampled_from([0, -32768, -1]) | st.integers(-32768, 0)),
            out="out",
            exponent="exponent",
        ),
        {"x": draw(integers("int16", shape, -reach - (reach == 32767), reach))},
    )


@given(cases())
def test_is_the_smallest_shift_that_fits(case: Case) -> None:
    low: int = case.instruction.low  # type: ignore[attr-defined]
    found = run_reference(case)
    for row, out, exponent in zip(
        case.values["x"].tolist(), found["out"].tolist(), found["exponent"].tolist(), strict=True
    ):
        y = [max(v, low) for v in row]
        shift = next(e for e in range(20) if max(map(abs, y)) < 2 ** (7 + e))
        assert exponent == shift
        assert out == [
            min(max(floor(Fraction(v, 2**shift) + Fraction(1, 2)), -127), 127) for v in y
        ]
        assert exponent == 0 or max(map(abs, out)) >= 64


def test_extremes() -> None:
    x = np.array([[-32768, 0], [32767, -32767], [127, -127], [128, -127], [0, 0]], np.int16)
    out, exponent = rescale(x, -32768)
    assert exponent.tolist() == [MAX_EXPONENT, 8, 0, 1, 0]
    assert out.tolist() == [[-64, 0], [127, -127], [127, -127], [64, -63], [0, 0]]
    assert rescale(x, 0)[1].tolist() == [0, 8, 0, 1, 0]


@pytest.mark.parametrize("low", [1, -32769])
def test_refuses_other_bounds(low: int) -> None:
    op = Rescale(x="x", low=low, out="out", exponent="exponent")
    with pytest.raises(ProgramError, match=rf"low is {low}, outside \[-32768, 0\]"):
        Case(op, {"x": np.zeros((1, 3), np.int16)}).types()


def test_nothing_else_reads_an_exponent() -> None:
    """The width of an exponent is 0.  No other operation on int8 accepts this width."""
    from int8ref.reference.lookup import Lookup

    case = Case(Lookup(x="x", table="t", out="y"), {"x": np.zeros(3, np.int8)},
                {"t": np.zeros(256, np.int8)})  # fmt: skip
    with pytest.raises(ProgramError, match="has no width"):
        case.types()
