"""layer_norm_l2: against layer normalisation in float64, within a bound that is derived here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.reference.layer_norm_l2 import LayerNormL2, normalized_bound
from tests.ops.cases import Array, Case, run_reference
from tests.ops.layer_norm_cases import (
    assert_within,
    extreme_case,
    float_layer_norm,
    model_cases,
    norm_cases,
)


def cases() -> st.SearchStrategy[Case]:
    return norm_cases(LayerNormL2, normalized_bound, 2**60)


def deviation(case: Case, centred: Array) -> Array:
    epsilon: int = case.instruction.epsilon  # type: ignore[attr-defined]
    found: Array = np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon)
    return found


@given(cases())
@example(extreme_case(LayerNormL2))
def test_within_the_bound_of_its_roundings(case: Case) -> None:
    """The root and the mean of squares round down, by less than 1 and less than 1 of s^2; the
    reciprocal by 2^-29.
    """
    y, t, s = float_layer_norm(case, lambda centred: deviation(case, centred))
    error = np.where(s >= 2, 1 / np.maximum(s - 2, 0.25), np.inf) + 2.0**-28
    assert_within(case, run_reference(case), y, t, error)


@given(model_cases(LayerNormL2, spread=1))
def test_within_one_unit_on_rows_as_models_have_them(case: Case) -> None:
    y, _, _ = float_layer_norm(case, lambda centred: deviation(case, centred))
    assert np.abs(run_reference(case)["out"] - np.clip(y, -127, 127)).max() <= 1


@given(cases())
def test_normalized_values_stay_within_their_bound(case: Case) -> None:
    """|t| <= normalized_bound(n): what keeps t * gain + bias within 32 bits."""
    x, width = case.values["x"], case.values["x"].shape[1]
    epsilon: int = case.instruction.epsilon  # type: ignore[attr-defined]
    centred = width * x.astype(object) - x.astype(object).sum(axis=1, keepdims=True)
    for row in centred:
        variance = sum(c * c for c in row) // width + epsilon
        s = max(math.isqrt(variance), 1)
        assert max(abs(c) for c in row) * 2**10 / s <= normalized_bound(width)


@pytest.mark.parametrize("width", [1, 2, 3, 512, 1024, 8192])
def test_the_bound_is_at_least_the_root(width: int) -> None:
    assert normalized_bound(width) >= 2 * width**0.5 * 2**10
