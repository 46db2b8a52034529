"""layer_norm_l1: against the mean absolute deviation in float64, within a bound derived here."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.instruction import ProgramError
from int8ref.reference.layer_norm_l1 import LayerNormL1, layer_norm_l1, normalized_bound
from tests.ops.cases import Array, Case, run_reference
from tests.ops.layer_norm_cases import (
    assert_within,
    float_layer_norm,
    model_case,
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
@example(
    Case(
        LayerNormL1(x="x", gain="gain", bias="bias", shift=1, epsilon=0, **results(1)),
        {"x": np.array([[-32768, 32767] * 512, [32767] * 1023 + [-32768]], np.int16)},
        {"gain": np.full(1024, 31, np.int16), "bias": np.zeros(1024, np.int32)},
    )
)
def test_within_the_bound_of_its_roundings(case: Case) -> None:
    """s is rounded up, by less than 1, and the reciprocal down by 2^-29."""
    y, t, s = float_layer_norm(case, lambda centred: deviation(case, centred))
    error = 1 / np.maximum(s, 0.5) + 2.0**-28
    assert_within(case, run_reference(case), y, t, error)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([8, 64, 256, 512, 1024]),
    st.floats(200, 12_000),
    st.floats(0.2, 3.5),
)
def test_within_one_unit_on_rows_as_models_have_them(
    seed: int, width: int, sigma: float, spread: float
) -> None:
    case = model_case(LayerNormL1, seed, width, sigma, spread * 2)
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
    out, _ = layer_norm_l1(x, np.ones(8, np.int16), np.zeros(8, np.int32), 6, 0, 0)
    assert int(out[0, 7]) << 6 == normalized_bound(8)


@given(st.integers(-32768, 32767), st.integers(1, 30))
def test_a_constant_row_gives_its_bias(level: int, width: int) -> None:
    bias = np.arange(width, dtype=np.int32) * 8 - 40
    x = np.full((2, width), level, np.int16)
    out, finer = layer_norm_l1(x, np.full(width, 900, np.int16), bias, 3, 0, 3)
    assert out.tolist() == [(np.arange(width) - 5).tolist()] * 2
    assert finer.tolist() == [bias.tolist()] * 2


@given(cases(), st.integers(-100, 100))
def test_shifted_rows_are_equal(case: Case, offset: int) -> None:
    x = (case.values["x"] // 2).astype(np.int16)
    moved = (x + offset).astype(np.int16)
    one, other = (run_reference(Case(case.instruction, {"x": v}, case.tensors)) for v in (x, moved))
    for place, array in one.items():
        np.testing.assert_array_equal(array, other[place])


@pytest.mark.parametrize(
    ("epsilon", "bits", "message"),
    [
        (-1, 4, "epsilon is -1"),
        (2**30 + 1, 4, r"epsilon is 1073741825, outside \[0, 1073741824\]"),
        (0, 10, r"wide_bits is 10, outside \[1, 9\]"),
    ],
)
def test_refuses_constants(epsilon: int, bits: int, message: str) -> None:
    op = LayerNormL1(x="x", gain="g", bias="b", shift=9, epsilon=epsilon, **results(bits))
    tensors = {"g": np.ones(4, np.int16), "b": np.zeros(4, np.int32)}
    with pytest.raises(ProgramError, match=message):
        Case(op, {"x": np.zeros((1, 4), np.int16)}, tensors).types()


def test_refuses_gains_that_may_overflow() -> None:
    op = LayerNormL1(x="x", gain="g", bias="b", shift=9, epsilon=0, **results(0))
    for gain, fits in ((8191, True), (8192, False)):
        tensors = {"g": np.full(512, gain, np.int16), "b": np.zeros(512, np.int32)}
        case = Case(op, {"x": np.zeros((1, 512), np.int16)}, tensors)
        if fits:
            case.types()
        else:
            with pytest.raises(ProgramError, match="gain and bias may reach 2147483904, over 32"):
                case.types()


def test_refuses_fraction_bits_without_a_wide_result() -> None:
    op = LayerNormL1(x="x", gain="g", bias="b", shift=9, epsilon=0, wide_bits=1, out="out")
    tensors = {"g": np.ones(4, np.int16), "b": np.zeros(4, np.int32)}
    with pytest.raises(ProgramError, match=r"wide_bits is 1, outside \[0, 0\]"):
        Case(op, {"x": np.zeros((1, 4), np.int16)}, tensors).types()
