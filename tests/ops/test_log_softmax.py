"""log_softmax: compared with exact logarithms, within the bound that its docstring proves."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.log_softmax import MAX_MULTIPLIER, MAX_SHIFT, LogSoftmax, log_softmax
from int8ref.spec.arithmetic import POWER_MAX_INPUT
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Array, Case, integers, run_reference, run_step

UNITS = Decimal(2) ** 20


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw any logits and factors, or logits with many significant powers."""
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 70))
    shift = draw(st.integers(0, MAX_SHIFT))
    if draw(st.booleans()):
        x, multiplier = integers("int32", shape), st.integers(1, MAX_MULTIPLIER)
    else:
        x = integers("int32", shape, -(2**17), 2**17)
        multiplier = st.integers(1, min(MAX_MULTIPLIER, 2 ** min(shift + 9, 30)))
    cap = {}
    if draw(st.booleans()):
        cap = {"cap_multiplier": draw(st.integers(1, 2**31 - 1))}
        cap["cap_shift"] = draw(st.integers(1, 62))
    op = LogSoftmax(x="x", multiplier=draw(multiplier), shift=shift, out="out", **cap)
    return Case(op, {"x": draw(x)})


def exact(row: list[int], multiplier: int, shift: int) -> list[Decimal]:
    """Return log2(2^(a x[n]) / sum_k 2^(a x[k])) in units, to some 30 decimal places."""
    with localcontext(prec=60):
        octaves = [Decimal((x - max(row)) * multiplier) / 2**shift / UNITS for x in row]
        log2 = Decimal(2).ln()
        norm = sum(Decimal(2) ** max(z, Decimal(-10_000)) for z in octaves).ln() / log2
        return [(z - norm) * UNITS for z in octaves]


def bound(columns: int) -> Decimal:
    """Return the bound that the docstring proves."""
    return Decimal("1.7") + Decimal(columns) / 2800


def assert_within_bound(found: Array, x: Array, multiplier: int, shift: int) -> None:
    for row, logits in zip(found.tolist(), x.tolist(), strict=True):
        for got, wanted in zip(row, exact(logits, multiplier, shift), strict=True):
            assert abs(got - max(wanted, Decimal(-POWER_MAX_INPUT))) < bound(len(row))


@given(cases())
def test_is_within_its_bound(case: Case) -> None:
    op: LogSoftmax = case.instruction  # type: ignore[assignment]
    found = run_reference(case)["out"]
    assert found.dtype == np.int32
    assert found.min() >= -POWER_MAX_INPUT
    assert found.max() <= 0
    assert_within_bound(found, op.capped(case.values["x"]), op.multiplier, op.shift)


@given(cases())
def test_larger_logits_are_not_less_likely(case: Case) -> None:
    x, found = case.values["x"], run_reference(case)["out"]
    for row, order in zip(found, np.argsort(x, axis=1, kind="stable"), strict=True):
        assert (np.diff(row[order]) >= 0).all()


@pytest.mark.parametrize("octaves", ["0", "1", "14.9", "15.1", "31.99", "32.01", "40"])
def test_wide_rows(octaves: str) -> None:
    """One logit above 31,999 equal logits, whose powers are just below 2^-32 and vanish."""
    distance = int(Decimal(octaves) * UNITS)
    x = np.full((1, 32_000), -distance, np.int32)
    x[0, 17] = 0
    case = Case(LogSoftmax(x="x", multiplier=1, shift=0, out="out"), {"x": x})
    found = run_reference(case)["out"]
    np.testing.assert_array_equal(run_step(case)["out"], found)
    with localcontext(prec=60):
        total = 1 + 31_999 * Decimal(2) ** (-distance / UNITS)
        norm = total.ln() / Decimal(2).ln() * UNITS
    for column, z in ((17, 0), (0, distance), (31_999, distance)):
        assert abs(found[0, column] + z + norm) < bound(32_000)


def test_probabilities_of_a_real_row_sum_to_one() -> None:
    """32,000 columns with the spread of a translation."""
    x = np.random.default_rng(3).normal(-44, 9, (3, 32_000)).astype(np.int64)
    x = (x * 1000 + np.arange(32_000) % 1000).astype(np.int32)
    x[:, 5] = -1000
    found = log_softmax(x, 1049, 0)
    assert abs(np.exp2(found / 2.0**20).sum(axis=1) - 1).max() < 2e-5


def test_extremes() -> None:
    low, high = -(2**31), 2**31 - 1
    row = np.array([[low, high, low, high - 1]], np.int32)
    assert log_softmax(row, MAX_MULTIPLIER, 0).tolist() == [[-(2**30), 0, -(2**30), 1 - 2**30]]
    assert log_softmax(row, 1, MAX_SHIFT).tolist() == [[-(2**21)] * 4]
    assert log_softmax(row[:, :1], 1, 0).tolist() == [[0]]
    assert log_softmax(np.zeros((1, 1024), np.int32), 1, 0).tolist() == [[-10 * 2**20] * 1024]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"multiplier": 0}, "multiplier is 0, outside"),
        ({"multiplier": 2**30}, "multiplier is 1073741824, outside"),
        ({"shift": -1}, "shift is -1, outside"),
        ({"shift": 37}, "shift is 37, outside"),
    ],
)
def test_refuses(fields: dict[str, int], message: str) -> None:
    given = {"multiplier": 1, "shift": 0, **fields}
    case = Case(LogSoftmax(x="x", out="out", **given), {"x": np.zeros((1, 2), np.int32)})
    with pytest.raises(ProgramError, match=message):
        case.types()
    with pytest.raises(OverflowError, match="log_softmax"):
        log_softmax(case.values["x"], **given)


def test_refuses_half_a_cap() -> None:
    for fields in ({"cap_multiplier": 3}, {"cap_shift": 3}):
        op = LogSoftmax(x="x", multiplier=1, shift=0, out="out", **fields)
        with pytest.raises(ProgramError, match="cap_multiplier and cap_shift need each other"):
            Case(op, {"x": np.zeros((1, 2), np.int32)}).types()


@given(st.floats(0.5, 100), st.floats(1e-6, 1e-2), st.integers(0, 2**32 - 1))
def test_a_cap_is_the_tangent_of_the_paper(cap: float, unit: float, seed: int) -> None:
    """cap * tanh(x / cap) before the softmax: both factors as the importer chooses them."""
    x = np.random.default_rng(seed).integers(-(2**20), 2**20, (2, 50)).astype(np.int32)
    exact = cap * np.tanh(x * unit / cap) * np.log2(np.e)
    exact -= np.log2(np.exp2(exact - exact.max(1, keepdims=True)).sum(1, keepdims=True))
    exact -= (cap * np.tanh(x * unit / cap) * np.log2(np.e)).max(1, keepdims=True)
    before, after = 2 * np.log2(np.e) * unit / cap * 2**20, cap * np.log2(np.e) * 2.0**-10
    shift = 30 - max(int(np.ceil(np.log2(before))), 0)
    found = log_softmax(x, round(after * 2**30), 30, round(before * 2**shift), shift)
    # The logits move by at most 4 units of 2^-20, and the cap adds the error of its factors.
    np.testing.assert_allclose(found / 2**20, exact, atol=1e-5 * cap + 2e-5)
