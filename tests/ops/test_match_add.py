"""match_add: two scales and one rounding, compared with exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.match_add import MAX_RAISE, MatchAdd, match_add
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Array, Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn, raised: bool | None = None) -> Case:
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    raised = draw(st.booleans()) if raised is None else raised

    def factors() -> st.SearchStrategy[Array]:
        sizes = st.sampled_from([1, shape[1]])
        return sizes.flatmap(lambda n: integers("int16", (n,), 0))

    kinds = ("int32", "int16") if raised else ("int16 int32", "int8 int16")
    values = {
        name: draw(integers(draw(st.sampled_from(kind.split())), shape))
        for name, kind in zip("ab", kinds, strict=True)
    }
    tensors = {
        "am": draw(factors()),
        "bm": draw(factors()),
    }
    more: dict[str, Any] = {}
    if raised:
        values["exponent"] = draw(integers("int8", shape[:1], 0, 9))
        tensors["bias"] = draw(integers("int16", shape[1:]))
        more = {"exponent": "exponent", "bias": "bias", "bias_shift": draw(st.integers(0, 40))}
    return Case(
        MatchAdd(
            a="a",
            b="b",
            a_multiplier="am",
            b_multiplier="bm",
            b_shift=draw(st.integers(0, MAX_RAISE)),
            shift=draw(st.sampled_from([1, 61]) | st.integers(1, 61)),
            limit=draw(st.sampled_from([1, 127, 32767]) | st.integers(1, 32767)),
            out="out",
            **more,
        ),
        values,
        tensors,
    )


@given(cases())
def test_is_exact(case: Case) -> None:
    found = run_reference(case)["out"]
    add: MatchAdd = case.instruction  # type: ignore[assignment]
    a, b = (case.values[name].astype(object) for name in ("a", "b"))
    am, bm = (case.tensors[name].astype(object) for name in ("am", "bm"))
    other = b * bm * 2**add.b_shift
    totals = a * am + other
    if add.exponent is not None:
        factors = 2 ** case.values["exponent"].astype(object)[:, None]
        totals = a * am * factors + other
        totals = totals + case.tensors["bias"].astype(object) * 2**add.bias_shift
    for total, out in zip(totals.flat, found.flat, strict=True):
        wanted = floor(Fraction(total, 1 << add.shift) + Fraction(1, 2))
        assert out == max(-add.limit, min(add.limit, wanted))
    assert found.dtype == np.int16


@given(cases(raised=True))
def test_a_rescaled_product_is_the_product(case: Case) -> None:
    """Rows of the same real value, with a smaller shift, give the same sum."""
    case.values["a"] = case.values["a"] >> 9 << 9
    values = dict(case.values)
    shift = case.values["exponent"].astype(np.int32)[:, None]
    values["a"] = (case.values["a"] >> (9 - shift)).astype(np.int32)
    values["exponent"] = np.full_like(case.values["exponent"], 9)
    tensors = case.tensors
    again = run_reference(Case(case.instruction, values, tensors))
    np.testing.assert_array_equal(again["out"], run_reference(case)["out"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"exponent": None}, "bias_shift is 3, outside"),
        ({"exponent": None, "bias_shift": 0}, "exponent and bias need each other"),
        ({"bias": None}, "exponent and bias need each other"),
        ({"bias_shift": 41}, r"bias_shift is 41, outside \[0, 40\]"),
        ({"exponent": "a"}, "is int32.target, 2., not int8"),
        ({"a": "b"}, "is int16.target, 2., not int32"),
        ({"a_multiplier": "large"}, "is int32.1., not int16"),
        ({"b_multiplier": "negative"}, "holds -1, below 0"),
        ({"b_multiplier": "three"}, "tensor 'three' has 3 elements, not 2"),
        ({"b_shift": 31}, r"b_shift is 31, outside \[0, 30\]"),
    ],
)
def test_refuses(fields: dict[str, Any], message: str) -> None:
    add: dict[str, Any] = {
        "a": "a", "b": "b", "a_multiplier": "m", "b_multiplier": "m", "b_shift": 2, "shift": 4,
        "limit": 9,
        "exponent": "e", "bias": "bias", "bias_shift": 3, "out": "out",
    }  # fmt: skip
    values = {
        "a": np.zeros((1, 2), np.int32),
        "b": np.zeros((1, 2), np.int16),
        "e": np.zeros(1, np.int8),
    }
    tensors = {
        "m": np.ones(1, np.int16),
        "large": np.ones(1, np.int32),
        "negative": np.array([1, -1], np.int16),
        "three": np.ones(3, np.int16),
        "bias": np.zeros(2, np.int16),
    }
    Case(MatchAdd(**add), values, tensors).types()
    with pytest.raises(ProgramError, match=message):
        Case(MatchAdd(**add | fields), values, tensors).types()


@given(cases(raised=False))
def test_does_not_depend_on_the_order(case: Case) -> None:
    """a + b = b + a if both dtypes allow it, because nothing is rounded before the sum."""
    add: MatchAdd = case.instruction  # type: ignore[assignment]
    narrow = {name: array.astype(np.int16) for name, array in case.values.items()}
    turned = MatchAdd(
        a="b", b="a", a_multiplier="bm", b_multiplier="am", b_shift=0, shift=add.shift,
        limit=add.limit, out="out",
    )  # fmt: skip
    add = msgspec.structs.replace(add, b_shift=0)
    one = run_reference(Case(add, narrow, case.tensors))
    other = run_reference(Case(turned, narrow, case.tensors))
    np.testing.assert_array_equal(one["out"], other["out"])


@pytest.mark.parametrize("given", ["exponent", "bias"])
def test_an_exponent_and_a_bias_need_each_other(given: str) -> None:
    operands = {"exponent": np.array([2], np.int8), "bias": np.array([0], np.int16)}
    a, b, factor = np.array([[10]], np.int32), np.array([[0]], np.int16), np.array([3], np.int16)
    with pytest.raises(ValueError, match="exponent and bias need each other"):
        match_add(a, b, factor, factor, 0, 1, 32767, **{given: operands[given]})
    assert match_add(a, b, factor, factor, 0, 1, 32767, **operands).tolist() == [[60]]
