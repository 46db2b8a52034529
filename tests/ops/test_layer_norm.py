"""Layer normalisation with each deviation, compared with float64.  The bounds are derived here."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.spec.scope import ProgramError
from tests.ops.cases import Case, run_reference
from tests.ops.layer_norm_cases import (
    NORMS,
    Norm,
    assert_within,
    extreme_case,
    model_cases,
    results,
)

each_norm = pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)


def assert_within_roundings(norm: Norm, case: Case) -> None:
    y, t, s = norm.floats(case)
    assert_within(case, run_reference(case), y, t, norm.error(s))


@each_norm
@given(data=st.data())
def test_within_the_bound_of_its_roundings(norm: Norm, data: st.DataObject) -> None:
    assert_within_roundings(norm, data.draw(norm.cases()))


@each_norm
def test_extreme_rows_are_within_that_bound(norm: Norm) -> None:
    assert_within_roundings(norm, extreme_case(norm.kind))


@each_norm
@given(data=st.data())
def test_within_one_unit_on_rows_as_models_have_them(norm: Norm, data: st.DataObject) -> None:
    case = data.draw(model_cases(norm.kind, norm.spread))
    y, _, _ = norm.floats(case)
    assert np.abs(run_reference(case)["out"] - np.clip(y, -127, 127)).max() <= 1


@each_norm
@given(data=st.data())
def test_normalized_values_stay_within_their_bound(norm: Norm, data: st.DataObject) -> None:
    """|t| <= normalized_bound(n) keeps t * gain + bias within 32 bits."""
    case = data.draw(norm.cases())
    x, width = case.values["x"], case.values["x"].shape[1]
    epsilon: int = case.instruction.epsilon  # type: ignore[attr-defined]
    for row in x.tolist():
        total = sum(row)
        centred = [width * value - total for value in row]
        s = norm.exact(centred, epsilon)
        assert Fraction(max(map(abs, centred)) * 2**10, s) <= norm.bound(width)


@each_norm
@given(level=st.integers(-32768, 32767), width=st.integers(1, 30))
def test_a_constant_row_gives_its_bias(norm: Norm, level: int, width: int) -> None:
    bias = np.arange(width, dtype=np.int16) * 4 - 20
    x = np.full((2, width), level, np.int16)
    out, finer = norm.function(x, np.full(width, 900, np.int16), bias, 1, 3, 0, 3)
    assert out.tolist() == [(np.arange(width) - 5).tolist()] * 2
    assert finer.tolist() == [(2 * bias).tolist()] * 2


@each_norm
@given(data=st.data(), offset=st.integers(-100, 100))
def test_shifted_rows_are_equal(norm: Norm, data: st.DataObject, offset: int) -> None:
    case = data.draw(norm.cases())
    x = (case.values["x"] // 2).astype(np.int16)
    moved = (x + offset).astype(np.int16)
    one, other = (run_reference(Case(case.instruction, {"x": v}, case.tensors)) for v in (x, moved))
    for place, array in one.items():
        np.testing.assert_array_equal(array, other[place])


def case_of(norm: Norm, width: int, gain: int, **fields: Any) -> Case:
    """Return a row of zeros for a check."""
    constants = {"bias_shift": 0, "shift": 9, "epsilon": 0, **results(0), **fields}
    op = norm.kind(x="x", gain="g", bias="b", **constants)
    tensors = {"g": np.full(width, gain, np.int16), "b": np.zeros(width, np.int16)}
    return Case(op, {"x": np.zeros((1, width), np.int16)}, tensors)


@each_norm
def test_refuses_constants(norm: Norm) -> None:
    most = norm.most_epsilon
    case_of(norm, 4, 1, epsilon=most, **results(9)).types()
    for fields, message in (
        ({"epsilon": -1, **results(4)}, "epsilon is -1"),
        ({"epsilon": most + 1, **results(4)}, rf"is {most + 1}, outside \[0, {most}\]"),
        (results(10), r"wide_bits is 10, outside \[0, 9\]"),
        ({"wide_bits": 1}, r"wide_bits is 1, outside \[0, 0\]"),
    ):
        with pytest.raises(ProgramError, match=message):
            case_of(norm, 4, 1, **fields).types()


@pytest.mark.parametrize(
    ("kind", "width", "gain", "reached"),
    [("l1", 512, 8191, 2147483904), ("l2", 8192, 11522, 2147518720)],
)
def test_refuses_gains_that_may_overflow(kind: str, width: int, gain: int, reached: int) -> None:
    case_of(NORMS[kind], width, gain).types()
    with pytest.raises(ProgramError, match=f"gain and bias may reach {reached}, over 32"):
        case_of(NORMS[kind], width, gain + 1).types()
