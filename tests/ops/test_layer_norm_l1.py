"""layer_norm_l1: against the mean absolute deviation in float64, within a bound derived here."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.reference.layer_norm_l1 import LayerNormL1, layer_norm_l1, normalized_bound
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Array, Case, run_reference
from tests.ops.layer_norm_cases import (
    assert_within,
    extreme_case,
    float_layer_norm,
    model_cases,
    norm_cases,
    results,
)


def cases() -> st.SearchStrategy[Case]:
    return norm_cases(LayerNormL1, normalized_bound, 2**30)


def deviation(case: Case, centred: Array) -> Array:
    epsilon: int = case.instruction.epsilon  # type: ignore[attr-defined]
    found: Array = np.abs(centred).mean(axis=1, keepdims=True) + epsilon
    return found


@given(cases())
@example(extreme_case(LayerNormL1))
def test_within_the_bound_of_its_roundings(case: Case) -> None:
    """s is rounded up, by less than 1, and the reciprocal down by 2^-29."""
    y, t, s = float_layer_norm(case, lambda centred: deviation(case, centred))
    error = 1 / np.maximum(s, 0.5) + 2.0**-28
    assert_within(case, run_reference(case), y, t, error)


@given(model_cases(LayerNormL1, spread=2))
def test_within_one_unit_on_rows_as_models_have_them(case: Case) -> None:
    y, _, _ = float_layer_norm(case, lambda centred: deviation(case, centred))
    assert np.abs(run_reference(case)["out"] - np.clip(y, -127, 127)).max() <= 1


@given(cases())
def test_normalized_values_stay_within_their_bound(case: Case) -> None:
    """|t| <= normalized_bound(n): what keeps t * gain + bias within 32 bits."""
    x, width = case.values["x"], case.values["x"].shape[1]
    epsilon: int = case.instruction.epsilon  # type: ignore[attr-defined]
    for row in x.tolist():
        centred = [width * v - sum(row) for v in row]
        total = Fraction(sum(map(abs, centred)), width)
        s = max(-(-total.numerator // total.denominator) + epsilon, 1)
        assert Fraction(max(map(abs, centred)) * 2**10, s) <= normalized_bound(width)


def test_the_bound_is_reached() -> None:
    """One outlier: its distance is half of all distances."""
    x = np.array([[0, 0, 0, 0, 0, 0, 0, 8]], np.int16)
    out, _ = layer_norm_l1(x, np.ones(8, np.int16), np.zeros(8, np.int16), 0, 6, 0, 0)
    assert int(out[0, 7]) << 6 == normalized_bound(8)


@pytest.mark.parametrize(
    ("epsilon", "bits", "message"),
    [
        (-1, 4, "epsilon is -1"),
        (2**30 + 1, 4, r"epsilon is 1073741825, outside \[0, 1073741824\]"),
        (0, 10, r"wide_bits is 10, outside \[0, 9\]"),
    ],
)
def test_refuses_constants(epsilon: int, bits: int, message: str) -> None:
    op = LayerNormL1(
        x="x", gain="g", bias="b", bias_shift=0, shift=9, epsilon=epsilon, **results(bits)
    )
    tensors = {"g": np.ones(4, np.int16), "b": np.zeros(4, np.int16)}
    with pytest.raises(ProgramError, match=message):
        Case(op, {"x": np.zeros((1, 4), np.int16)}, tensors).types()


def test_refuses_gains_that_may_overflow() -> None:
    op = LayerNormL1(x="x", gain="g", bias="b", bias_shift=0, shift=9, epsilon=0, **results(0))
    for gain, fits in ((8191, True), (8192, False)):
        tensors = {"g": np.full(512, gain, np.int16), "b": np.zeros(512, np.int16)}
        case = Case(op, {"x": np.zeros((1, 512), np.int16)}, tensors)
        if fits:
            case.types()
        else:
            with pytest.raises(ProgramError, match="gain and bias may reach 2147483904, over 32"):
                case.types()


def test_refuses_fraction_bits_without_a_wide_result() -> None:
    op = LayerNormL1(
        x="x", gain="g", bias="b", bias_shift=0, shift=9, epsilon=0, wide_bits=1, out="out"
    )
    tensors = {"g": np.ones(4, np.int16), "b": np.zeros(4, np.int16)}
    with pytest.raises(ProgramError, match=r"wide_bits is 1, outside \[0, 0\]"):
        Case(op, {"x": np.zeros((1, 4), np.int16)}, tensors).types()
