"""rms_norm_branch: its formula in Python's integers, and the exact norm within a bound."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.rescale import MAX_EXPONENT
from int8ref.reference.rms_norm_branch import RmsNormBranch, normalized_bound
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows, width = draw(st.integers(1, 4)), draw(st.integers(1, 30) | st.just(300))
    shift = draw(st.integers(1, 30))
    most = min(32767, (2**31 - 1 - 2 ** (shift - 1)) // normalized_bound(width))
    values = {"x": draw(integers("int32", (rows, width)))}
    tensors = {
        "multiplier": draw(integers("int16", (draw(st.sampled_from([1, width])),), 0)),
        "gain": draw(integers("int16", (width,), -most, most)),
    }
    fields: dict[str, Any] = {"x": "x", "shift": shift, "out": "out"}
    fields["epsilon"] = draw(st.sampled_from([0, 1, 2**30]) | st.integers(0, 2**30))
    fields["epsilon_shift"] = draw(st.integers(0, 255) | st.integers(0, 60))
    if draw(st.booleans()):
        values["exponent"] = draw(integers("int8", (rows,), 0, MAX_EXPONENT))
        tensors["bias"] = draw(integers("int16", (width,)))
        fields |= {"exponent": "exponent", "bias_shift": draw(st.integers(0, 40))}
    return Case(RmsNormBranch(**fields, **{name: name for name in tensors}), values, tensors)


def half_up(x: int, shift: int) -> int:
    return (x + (1 << shift >> 1)) >> shift


def clamped(x: int) -> int:
    return max(-32767, min(32767, x))


def rows_of(case: Case) -> list[list[int]]:
    """Return y, the rows before their shift."""
    op: RmsNormBranch = case.instruction  # type: ignore[assignment]
    x = case.values["x"]
    factors = np.resize(case.tensors["multiplier"], x.shape[1]).tolist()
    ups = case.values.get("exponent", np.zeros(len(x), np.int8)).tolist()
    biases = case.tensors.get("bias", np.zeros(x.shape[1], np.int16)).tolist()
    return [
        [
            c * m * 2**up + b * 2 ** (op.bias_shift or 0)
            for c, m, b in zip(row, factors, biases, strict=True)
        ]
        for row, up in zip(x.tolist(), ups, strict=True)
    ]


def by_hand(y: list[int], gain: list[int], op: RmsNormBranch) -> list[int]:
    n = len(y)
    assert max(map(abs, y)) < 2**57
    e = max(max(map(abs, y)).bit_length() - 15, 0)
    u = [clamped(half_up(one, e)) for one in y]
    d = min(op.epsilon_shift - 2 * e, 30)
    epsilon = op.epsilon << d if d >= 0 else op.epsilon >> -d
    root = max(math.isqrt(n * sum(c * c for c in u) + epsilon), 1)
    k = root.bit_length() + 29
    t = [half_up(n * c * ((1 << k) // root), k - 10) for c in u]
    assert max(map(abs, t)) <= normalized_bound(n)
    return [clamped(half_up(a * b, op.shift)) for a, b in zip(t, gain, strict=True)]


@given(cases())
def test_is_its_formula(case: Case) -> None:
    op: RmsNormBranch = case.instruction  # type: ignore[assignment]
    gain, found = case.tensors["gain"].tolist(), run_reference(case)["out"]
    assert found.dtype == np.int16
    for row, results in zip(rows_of(case), found.tolist(), strict=True):
        assert results == by_hand(row, gain, op)


@given(st.integers(0, 2**32 - 1), st.integers(4, 15), st.sampled_from([8, 64, 300]))
def test_rows_of_any_size_are_equally_exact(seed: int, bits: int, width: int) -> None:
    """A row and a row that is 2^15 times as large are both near the norm in float64."""
    random = np.random.default_rng(seed)
    row = random.normal(0, 2.0**bits, width).clip(-(2.0**16), 2.0**16).astype(np.int32)
    x = np.stack([row, row << 15 - 1])
    fields: dict[str, Any] = {"shift": 10, "epsilon": 0, "epsilon_shift": 0}
    op = RmsNormBranch(x="x", multiplier="m", gain="gain", out="out", **fields)
    gain = np.full(width, 1000, np.int16)
    found = run_reference(Case(op, {"x": x}, {"m": np.array([1 << 14], np.int16), "gain": gain}))
    y = x.astype(np.float64)
    exact = y / np.sqrt((y**2).mean(axis=1, keepdims=True)) * 1000
    np.testing.assert_allclose(found["out"], exact, atol=2)


def test_an_epsilon_counts_for_small_rows_alone() -> None:
    """The epsilon is the square of the first row: it halves the mean square, and then vanishes."""
    x = np.array([[8, -8], [8 << 12, -8 << 12]], np.int32)
    n2y2 = 4 * (8 * 2**14) ** 2
    op = RmsNormBranch(
        x="x",
        multiplier="m",
        gain="gain",
        shift=10,
        epsilon=n2y2 >> 20,
        epsilon_shift=20,
        out="out",
    )
    tensors = {"m": np.array([1 << 14], np.int16), "gain": np.full(2, 10_000, np.int16)}
    found = run_reference(Case(op, {"x": x}, tensors))["out"]
    assert np.abs(found[0] - [7071, -7071]).max() <= 6
    assert np.abs(found[1] - [10_000, -10_000]).max() <= 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shift": 31}, "shift is 31, outside"),
        ({"epsilon": 2**30 + 1}, "epsilon is 1073741825, outside"),
        ({"epsilon_shift": 256}, "epsilon_shift is 256, outside"),
        ({"bias_shift": 3}, "exponent, bias and bias_shift need each other"),
        ({"exponent": "e"}, "exponent, bias and bias_shift need each other"),
        ({"shift": 1, "gain": "large"}, "gain may reach"),
        ({"multiplier": "gain"}, "tensor 'gain' has 2 elements, not 4096|is int16"),
    ],
)
def test_refuses(fields: dict[str, Any], message: str) -> None:
    told = {"multiplier": "m", "gain": "small", "shift": 9, "epsilon": 0, "epsilon_shift": 0}
    op = RmsNormBranch(x="x", out="out", **(told | fields))
    values = {"x": np.ones((1, 4096), np.int32), "e": np.zeros(1, np.int8)}
    tensors = {"m": np.ones(1, np.int16), "small": np.ones(4096, np.int16)}
    tensors |= {"large": np.full(4096, 32767, np.int16), "gain": np.ones(2, np.int16)}
    with pytest.raises(ProgramError, match=message):
        Case(op, values, tensors).types()
