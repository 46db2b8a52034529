"""match_add: two scales and one rounding, against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.match_add import MAX_MULTIPLIER, MatchAdd
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    factors = st.sampled_from([1, shape[1]]).flatmap(
        lambda n: integers("int32", (n,), 0, MAX_MULTIPLIER)
    )
    instruction = MatchAdd(
        a="a",
        b="b",
        a_multiplier="am",
        b_multiplier="bm",
        shift=draw(st.sampled_from([1, 61]) | st.integers(1, 61)),
        limit=draw(st.sampled_from([1, 127, 32767]) | st.integers(1, 32767)),
        out="out",
    )
    return Case(
        instruction,
        {
            "a": draw(integers(draw(st.sampled_from(["int16", "int32"])), shape)),
            "b": draw(integers(draw(st.sampled_from(["int8", "int16"])), shape)),
        },
        {"am": draw(factors), "bm": draw(factors)},
    )


@given(cases())
def test_is_exact(case: Case) -> None:
    found = run_reference(case)["out"]
    add: MatchAdd = case.instruction  # type: ignore[assignment]
    a, b = (case.values[name].astype(object) for name in ("a", "b"))
    am, bm = (case.tensors[name].astype(object) for name in ("am", "bm"))
    for total, out in zip((a * am + b * bm).flat, found.flat, strict=True):
        wanted = floor(Fraction(total, 1 << add.shift) + Fraction(1, 2))
        assert out == max(-add.limit, min(add.limit, wanted))
    assert found.dtype == np.int16


@given(cases())
def test_does_not_depend_on_the_order(case: Case) -> None:
    """a + b = b + a where both dtypes allow it: nothing is rounded before the sum."""
    add: MatchAdd = case.instruction  # type: ignore[assignment]
    narrow = {name: array.astype(np.int16) for name, array in case.values.items()}
    turned = MatchAdd(
        a="b", b="a", a_multiplier="bm", b_multiplier="am", shift=add.shift, limit=add.limit,
        out="out",
    )  # fmt: skip
    one = run_reference(Case(add, narrow, case.tensors))
    other = run_reference(Case(turned, narrow, case.tensors))
    np.testing.assert_array_equal(one["out"], other["out"])
