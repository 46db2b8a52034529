"""ssru: the recurrent cell, compared with exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.ssru import Ssru
from tests.ops.cases import Case, integers, run_reference

CELL = Ssru(x="x", gate="gate", state="state", next_state="next", out="out")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    x, state = draw(integers("int16", shape)), draw(integers("int16", shape))
    return Case(CELL, {"x": x, "gate": draw(integers("int16", shape, 0)), "state": state})


@given(cases())
def test_is_exact(case: Case) -> None:
    found = run_reference(case)
    x, gate, state = (case.values[name].astype(object) for name in ("x", "gate", "state"))
    mixed = (gate * state + (2**15 - gate) * x).flat
    wanted = [floor(Fraction(total, 2**15) + Fraction(1, 2)) for total in mixed]
    assert found["next_state"].ravel().tolist() == wanted
    assert found["out"].ravel().tolist() == [max(w, 0) for w in wanted]
    assert found["next_state"].dtype == found["out"].dtype == np.int16


@given(cases())
def test_lies_between_input_and_state(case: Case) -> None:
    x, state = case.values["x"], case.values["state"]
    found = run_reference(case)["next_state"]
    assert (found >= np.minimum(x, state)).all()
    assert (found <= np.maximum(x, state)).all()


@given(cases())
def test_state_may_be_advanced_in_place(case: Case) -> None:
    """The compiled decoder advances the state in place."""
    from int8ref.kernels.ssru import ssru as kernel

    values = {name: array.copy() for name, array in case.values.items()}
    out = np.empty_like(values["x"])
    kernel(values["x"], values["gate"], values["state"], values["state"], out)
    wanted = run_reference(case)
    np.testing.assert_array_equal(values["state"], wanted["next_state"])
    np.testing.assert_array_equal(out, wanted["out"])
