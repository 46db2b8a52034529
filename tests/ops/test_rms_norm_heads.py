"""rms_norm_heads: its formula in Python's integers, and `rms_norm` of every head alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.rms_norm import rms_norm
from int8ref.reference.rms_norm_heads import RmsNormHeads, normalized_bound
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw heads between other columns, with gains up to the limit of their bound."""
    heads, head_width = draw(st.integers(1, 4)), draw(st.integers(1, 20) | st.just(128))
    column, more = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    shift = draw(st.integers(1, 30))
    most = min(32767, (2**31 - 1 - 2 ** (shift - 1)) // normalized_bound(head_width))
    fields: dict[str, Any] = {"heads": heads, "head_width": head_width, "column": column}
    fields["epsilon"] = draw(st.sampled_from([0, 1, 2**60]) | st.integers(0, 2**60))
    width = column + heads * head_width + more
    return Case(
        RmsNormHeads(x="x", gain="gain", shift=shift, out="out", **fields),
        {"x": draw(integers("int16", (draw(st.integers(1, 4)), width)))},
        {"gain": draw(integers("int16", (heads * head_width,), -most, most))},
    )


def half_up(x: int, shift: int) -> int:
    return (x + (1 << shift >> 1)) >> shift


def by_hand(x: list[int], gain: list[int], op: RmsNormHeads) -> list[int]:
    """Return a head of the result."""
    n = op.head_width
    root = max(math.isqrt(n * sum(c * c for c in x) + op.epsilon), 1)
    k = root.bit_length() + 29
    t = [half_up(n * c * ((1 << k) // root), k - 10) for c in x]
    assert max(map(abs, t)) <= normalized_bound(n)
    y = [a * b for a, b in zip(t, gain, strict=True)]
    assert max(abs(one) for one in y) + (1 << op.shift - 1) < 2**31
    return [max(-32767, min(32767, half_up(one, op.shift))) for one in y]


@given(cases())
def test_is_its_formula(case: Case) -> None:
    op: RmsNormHeads = case.instruction  # type: ignore[assignment]
    gain, found = case.tensors["gain"].tolist(), run_reference(case)["out"]
    for row, results in zip(case.values["x"].tolist(), found.tolist(), strict=True):
        wanted = list(row)
        for h in range(op.heads):
            own = slice(h * op.head_width, (h + 1) * op.head_width)
            at = slice(op.column + own.start, op.column + own.stop)
            wanted[at] = by_hand(row[at], gain[own], op)
        assert results == wanted


@given(cases())
def test_is_rms_norm_of_every_head(case: Case) -> None:
    op: RmsNormHeads = case.instruction  # type: ignore[assignment]
    x, gain = case.values["x"], case.tensors["gain"]
    bits = min(op.shift - 1, 15)
    found = run_reference(case)["out"]
    for h in range(op.heads):
        own = slice(h * op.head_width, (h + 1) * op.head_width)
        at = slice(op.column + own.start, op.column + own.stop)
        bias = np.zeros(op.head_width, np.int16)
        if op.shift + bits <= 30:
            _, wide = rms_norm(x[:, at], gain[own], bias, 0, op.shift + bits, op.epsilon, bits)
            np.testing.assert_array_equal(found[:, at], wide)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"column": 5}, r"column is 5, outside \[0, 4\]"),
        ({"column": -1}, "column is -1, outside"),
        ({"heads": 3}, r"tensor 'gain' is int16\[8\], wanted \[12\]"),
        ({"heads": 0}, "heads is 0, outside"),
        ({"head_width": 0}, "head_width is 0, outside"),
        ({"shift": 31}, "shift is 31, outside"),
        ({"epsilon": 2**60 + 1}, "epsilon is 1152921504606846977, outside"),
    ],
)
def test_refuses(fields: dict[str, int], message: str) -> None:
    given = {"heads": 2, "head_width": 4, "column": 1, "shift": 9, "epsilon": 0} | fields
    op = RmsNormHeads(x="x", gain="gain", out="out", **given)
    case = Case(op, {"x": np.ones((1, 12), np.int16)}, {"gain": np.ones(8, np.int16)})
    with pytest.raises(ProgramError, match=message):
        case.types()


def test_refuses_a_gain_that_overflows() -> None:
    op = RmsNormHeads(
        x="x", gain="gain", heads=1, head_width=4096, column=0, shift=1, epsilon=0, out="out"
    )
    gain = np.full(4096, 32767, np.int16)
    with pytest.raises(ProgramError, match="gain may reach"):
        Case(op, {"x": np.ones((1, 4096), np.int16)}, {"gain": gain}).types()
