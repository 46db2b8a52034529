"""rms_norm: close to the root of the mean square in float64.  The bound is derived here."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.reference.layer_norm import LayerNorm
from int8ref.reference.layer_norm_l2 import LayerNormL2, layer_norm_l2
from int8ref.reference.rms_norm import RmsNorm, normalized_bound, rms_norm
from tests.ops.cases import Array, Case, run_reference
from tests.ops.layer_norm_cases import assert_within, extreme_case, model_cases, norm_cases


def cases() -> st.SearchStrategy[Case]:
    return norm_cases(RmsNorm, normalized_bound, 2**60)


def float_rms_norm(case: Case) -> tuple[Array, Array, Array]:
    """Return (y before rounding, t, s) in float64. s is n times the root."""
    op: LayerNorm = case.instruction  # type: ignore[assignment]
    x = case.values["x"].astype(np.float64) * case.values["x"].shape[1]
    s = np.sqrt((x**2).mean(axis=1, keepdims=True) + op.epsilon)
    t = np.divide(x, s, out=np.zeros_like(x), where=s > 0) * 2**10
    bias = case.tensors["bias"] * 2.0**op.bias_shift
    return (t * case.tensors["gain"] + bias) / 2**op.shift, t, s


@given(cases())
@example(extreme_case(RmsNorm))
def test_within_the_bound_of_its_roundings(case: Case) -> None:
    """The root is rounded down by less than 1, and the reciprocal by 2^-29."""
    y, t, s = float_rms_norm(case)
    error = np.where(s >= 2, 1 / np.maximum(s - 2, 0.25), np.inf) + 2.0**-28
    assert_within(case, run_reference(case), y, t, error)


@given(model_cases(RmsNorm, spread=1))
def test_within_one_unit_on_rows_as_models_have_them(case: Case) -> None:
    y, _, _ = float_rms_norm(case)
    assert np.abs(run_reference(case)["out"] - np.clip(y, -127, 127)).max() <= 1


@given(cases())
def test_normalized_values_stay_within_their_bound(case: Case) -> None:
    """|t| <= normalized_bound(n) keeps t * gain + bias within 32 bits."""
    x, width = case.values["x"].astype(object), case.values["x"].shape[1]
    epsilon: int = case.instruction.epsilon  # type: ignore[attr-defined]
    for row in width * x:
        s = max(math.isqrt(sum(c * c for c in row) // width + epsilon), 1)
        assert max(abs(c) for c in row) * 2**10 / s <= normalized_bound(width)


HALF = 4096
"""Half of the columns of the widest norm."""


@given(norm_cases(LayerNormL2, normalized_bound, 2**60))
def test_is_layer_norm_l2_of_rows_whose_mean_is_zero(case: Case) -> None:
    half = case.values["x"][:, :HALF] >> 1
    x = np.concatenate([half, -half], axis=1)
    gain, bias = (np.tile(case.tensors[name][:HALF], 2) for name in ("gain", "bias"))
    gain = gain >> 2  # twice the width gives less than twice the bound
    op: LayerNorm = case.instruction  # type: ignore[assignment]
    found = rms_norm(x, gain, bias, op.bias_shift, op.shift, op.epsilon, op.wide_bits)
    wanted = layer_norm_l2(x, gain, bias, op.bias_shift, op.shift, op.epsilon, op.wide_bits)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
