"""multiply: compared with exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.reference.multiply import Multiply
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    tensors = {
        "multiplier": draw(integers("int16", (draw(st.sampled_from([1, shape[1]])),), 0)),
        "shift": draw(integers("int8", (1,), 1, 62)),
    }
    limit = draw(st.sampled_from([127, 127, 1, 128, 32767]))
    return Case(
        Multiply(a="a", b="b", multiplier="multiplier", shift="shift", limit=limit, out="out"),
        {"a": draw(integers("int16", shape)), "b": draw(integers("int8", shape))},
        tensors,
    )


EXTREME = Case(
    Multiply(a="a", b="b", multiplier="multiplier", shift="shift", limit=32767, out="out"),
    {"a": np.array([[-32768, -32768]], np.int16), "b": np.array([[-128, 127]], np.int8)},
    {"multiplier": np.array([2**15 - 1], np.int16), "shift": np.array([22], np.int8)},
)


@given(cases())
@example(EXTREME)
def test_is_exact(case: Case) -> None:
    op: Multiply = case.instruction  # type: ignore[assignment]
    a, b = (case.values[name].astype(object) for name in ("a", "b"))
    found = run_reference(case)["out"]
    assert found.dtype == (np.int8 if op.limit <= 127 else np.int16)
    factors = np.broadcast_to(case.tensors["multiplier"].astype(object), a.shape)
    shift = int(case.tensors["shift"][0])
    for place in np.ndindex(a.shape):
        exact = Fraction(a[place] * b[place] * factors[place], 1 << shift)
        wanted = floor(exact + Fraction(1, 2))
        assert found[place] == max(-op.limit, min(op.limit, wanted))
