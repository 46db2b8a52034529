"""layer_norm_l2: against layer normalisation in float64, within a bound that is derived here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.instruction import largest_magnitude
from int8ref.reference.layer_norm_l2 import LayerNormL2, layer_norm_l2, normalized_bound
from tests.ops.cases import Array, Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows = draw(st.integers(1, 4))
    width = draw(st.integers(1, 40) | st.sampled_from([64, 255, 512, 1024]))
    shift = draw(st.integers(1, 30))
    room = 2**31 - 1 - 2 ** (shift - 1)
    most = min(32767, room // normalized_bound(width))
    gain = draw(integers("int16", (width,), -most, most))
    rest = room - normalized_bound(width) * largest_magnitude(gain)
    epsilon = draw(st.sampled_from([0, 1, 2**60]) | st.integers(0, 2**60))
    bits = draw(st.integers(1, min(shift, 15)))
    return Case(
        LayerNormL2(x="x", gain="gain", bias="bias", shift=shift, epsilon=epsilon, **wide(bits)),
        {"x": draw(integers("int16", (rows, width)))},
        {"gain": gain, "bias": draw(integers("int32", (width,), -rest, rest))},
    )


def float_layer_norm(case: Case) -> tuple[Array, Array, Array]:
    """(y before rounding, t, s) in float64; s is n times the standard deviation."""
    op: LayerNormL2 = case.instruction  # type: ignore[assignment]
    x = case.values["x"].astype(np.float64)
    n = x.shape[1]
    centred = n * (x - x.mean(axis=1, keepdims=True))
    s = np.sqrt((centred**2).mean(axis=1, keepdims=True) + op.epsilon)
    t = np.divide(centred, s, out=np.zeros_like(centred), where=s > 0) * 2**10
    y = (t * case.tensors["gain"] + case.tensors["bias"]) / 2**op.shift
    return y, t, s


def wide(bits: int) -> dict[str, Any]:
    """Fields of the results, the second with so many more fraction bits."""
    return {"wide_bits": bits, "out": "out", "wide": "wide"}


@given(cases())
@example(
    Case(
        LayerNormL2(x="x", gain="gain", bias="bias", shift=1, epsilon=0, **wide(1)),
        {"x": np.array([[-32768, 32767] * 512, [32767] * 1023 + [-32768]], np.int16)},
        {"gain": np.full(1024, 31, np.int16), "bias": np.zeros(1024, np.int32)},
    )
)
def test_within_the_bound_of_its_roundings(case: Case) -> None:
    """|y - float| <= 1/2 + |gain| * (1/2 + |t| * e) / 2^shift.

    The 1/2 are the roundings of y and of t; e is the relative error of 1/s: the root and the mean
    of squares round down, by less than 1 and less than 1 of s^2, the reciprocal by 2^-29.
    """
    op: LayerNormL2 = case.instruction  # type: ignore[assignment]
    y, t, s = float_layer_norm(case)
    error = np.where(s >= 2, 1 / np.maximum(s - 2, 0.25), np.inf) + 2.0**-28
    gain = np.abs(case.tensors["gain"].astype(np.float64))
    slack = np.where(gain * np.abs(t) > 0, gain * np.abs(t), 0)
    with np.errstate(invalid="ignore"):
        inner = np.where(slack > 0, slack * error, 0)
    before = (gain / 2 + inner) / 2**op.shift + 1e-6
    found = run_reference(case)
    assert (np.abs(found["out"] - np.clip(y, -127, 127)) <= 0.5 + before).all()
    unit = 2.0**-op.wide_bits
    finer = np.clip(y, -32767 * unit, 32767 * unit)
    assert (np.abs(found["wide"] * unit - finer) <= 0.5 * unit + before).all()


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([8, 64, 256, 512, 1024]),
    st.floats(200, 12_000),
    st.floats(0.2, 3.5),
)
def test_within_one_unit_on_rows_as_models_have_them(
    seed: int, width: int, deviation: float, spread: float
) -> None:
    """Residual sums that use their 16 bits, a gain that uses the 8 bits of y."""
    random = np.random.default_rng(seed)
    x = np.clip(random.normal(0, deviation, (4, width)), -32767, 32767).astype(np.int16)
    shift = 16
    gain = random.uniform(0.2, 1, width) * 127 / (spread * 2**10) * 2**shift
    case = Case(
        LayerNormL2(x="x", gain="gain", bias="bias", shift=shift, epsilon=7, **wide(7)),
        {"x": x},
        {
            "gain": gain.astype(np.int16),
            "bias": random.integers(-(2**22), 2**22, width).astype(np.int32),
        },
    )
    y, _, _ = float_layer_norm(case)
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


@given(st.integers(-32768, 32767), st.integers(1, 30))
def test_a_constant_row_gives_its_bias(level: int, width: int) -> None:
    bias = np.arange(width, dtype=np.int32) * 8 - 40
    x = np.full((2, width), level, np.int16)
    out, finer = layer_norm_l2(x, np.full(width, 900, np.int16), bias, 3, 0, 3)
    assert out.tolist() == [(np.arange(width) - 5).tolist()] * 2
    assert finer.tolist() == [bias.tolist()] * 2


@given(cases(), st.integers(-100, 100))
def test_shifted_rows_are_equal(case: Case, offset: int) -> None:
    x = (case.values["x"] // 2).astype(np.int16)
    moved = (x + offset).astype(np.int16)
    one, other = (run_reference(Case(case.instruction, {"x": v}, case.tensors)) for v in (x, moved))
    np.testing.assert_array_equal(one["out"], other["out"])
    np.testing.assert_array_equal(one["wide"], other["wide"])


@pytest.mark.parametrize("width", [1, 2, 3, 512, 1024])
def test_the_bound_is_at_least_the_root(width: int) -> None:
    assert normalized_bound(width) >= 2 * width**0.5 * 2**10
