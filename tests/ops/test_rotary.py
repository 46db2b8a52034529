"""rotary: compared with exact fractions.  Scores depend only on distances."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.reference.rotary import ANGLE_BITS, Rotary, rotary
from tests.ops.cases import Array, Case, integers, run_reference

ONE = 1 << ANGLE_BITS


@st.composite
def cases(draw: st.DrawFn) -> Case:
    heads, head_width = draw(st.integers(1, 3)), draw(st.integers(2, 33))
    pairs = draw(st.sampled_from([head_width // 2, 1]) | st.integers(1, head_width // 2))
    rows, behind = draw(st.integers(1, 5)), draw(st.integers(0, 20))
    table, width = (draw(st.integers(1, 9)), pairs), heads * head_width + behind
    return Case(
        Rotary(
            x="x",
            positions="target.positions",
            cosine="cosine",
            sine="sine",
            heads=heads,
            head_width=head_width,
            pairs=pairs,
            multiplier="multiplier",
            shift="shift",
            out="out",
        ),
        {
            "x": draw(integers("int16", (rows, width))),
            "target.positions": draw(integers("int32", (rows,), 0, table[0] - 1)),
        },
        {name: draw(integers("int16", table, -ONE, ONE)) for name in ("cosine", "sine")}
        | {
            "multiplier": draw(integers("int16", (draw(st.sampled_from([1, width])),), 0)),
            "shift": draw(integers("int8", (1,), 1, 62)),
        },
    )


EXTREME = Case(
    Rotary(
        x="x", positions="target.positions", cosine="cosine", sine="sine",
        heads=1, head_width=2, pairs=1, multiplier="multiplier", shift="shift", out="out",
    ),
    {
        "x": np.array([[-32768, -32768], [-32768, 32767]], np.int16),
        "target.positions": np.array([0, 1], np.int32),
    },
    {
        "cosine": np.array([[ONE], [-ONE]], np.int16),
        "sine": np.array([[-ONE], [ONE]], np.int16),
        "multiplier": np.array([2**15 - 1, 2**15 - 2], np.int16),
        "shift": np.array([39], np.int8),
    },
)  # fmt: skip


@given(cases())
@example(EXTREME)
def test_is_exact(case: Case) -> None:
    op: Rotary = case.instruction  # type: ignore[assignment]
    x, found = case.values["x"].astype(object), run_reference(case)["out"]
    for row, position in enumerate(case.values["target.positions"]):
        c, s = (case.tensors[name][position].astype(object) for name in ("cosine", "sine"))
        wanted = x[row] * ONE
        for h in range(op.heads):
            for i in range(op.pairs):
                left = h * op.head_width + i
                right = left + op.pairs
                a, b = x[row, left], x[row, right]
                wanted[left], wanted[right] = a * c[i] - b * s[i], a * s[i] + b * c[i]
        factors = np.broadcast_to(case.tensors["multiplier"].astype(object), len(wanted))
        shift = int(case.tensors["shift"][0])
        exact = [
            floor(Fraction(w * m, 1 << shift) + Fraction(1, 2))
            for w, m in zip(wanted, factors, strict=True)
        ]
        assert found[row].tolist() == [max(-127, min(127, w)) for w in exact]


@given(st.integers(0, 2**32 - 1), st.integers(0, 400), st.integers(0, 400))
def test_scores_depend_on_the_distance(seed: int, first: int, second: int) -> None:
    """q . k, turned by p and p + d, is close to q . k, turned by 0 and d.

    The 8 bits of each column cause the difference.
    """
    random, pairs = np.random.default_rng(seed), 16
    angles = np.arange(801)[:, None] * 10000.0 ** -(np.arange(pairs) / pairs)
    cosine, sine = (np.rint(f(angles) * ONE).astype(np.int16) for f in (np.cos, np.sin))
    q, k = (random.integers(-127 * 128, 127 * 128, (1, 2 * pairs)) // 2 for _ in range(2))

    def turned(x: Array, position: int) -> Array:
        at, width = np.array([position], np.int32), 2 * pairs
        factors = np.ones(width, np.int16), np.full(1, ANGLE_BITS + 7, np.int8)
        wide = x.astype(np.int16)
        return rotary(wide, at, cosine, sine, 1, width, pairs, *factors).astype(int)

    here = (turned(q, first) * turned(k, first + second)).sum()
    there = (turned(q, 0) * turned(k, second)).sum()
    # A product of columns of at most 90 has an error of 0.51 times each factor, on both sides.
    assert abs(here - there) <= 2 * 2 * pairs * (0.51 * 2 * 90 + 0.51**2)


@pytest.mark.parametrize("position", [-1, 3])
def test_refuses_unknown_positions(position: int) -> None:
    x, table = np.zeros((1, 4), np.int16), np.zeros((3, 1), np.int16)
    factors = np.ones(4, np.int16), np.ones(1, np.int8)
    with pytest.raises(IndexError, match=r"positions must lie in \[0, 3\)"):
        rotary(x, np.array([position], np.int32), table, table, 1, 4, 1, *factors)
