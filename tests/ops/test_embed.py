"""embed: two tables on one scale, against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.embed import Embed, embed
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows, width = draw(st.integers(1, 6)), draw(st.integers(1, 40))
    table = draw(integers("int8", (draw(st.integers(1, 9)), width)))
    position_table = draw(integers("int8", (draw(st.integers(1, 9)), width)))
    shift = draw(st.integers(1, 30))
    room = 2**31 - 1 - 2 ** (shift - 1)
    multiplier = draw(st.sampled_from([0, room // 128]) | st.integers(0, room // 128))
    rest = (room - 128 * multiplier) // max(1, int(np.abs(position_table.astype(int)).max()))
    rest = min(rest, 2**30)
    return Case(
        Embed(
            ids="target.ids",
            positions="target.positions",
            table="table",
            position_table="positions",
            multiplier=multiplier,
            position_multiplier=draw(st.sampled_from([0, rest]) | st.integers(0, rest)),
            shift=shift,
            wide_bits=draw(st.integers(1, min(shift, 15))),
            out="out",
            wide="wide",
        ),
        {
            "target.ids": draw(integers("int32", (rows,), -1, len(table) - 1)),
            "target.positions": draw(integers("int32", (rows,), 0, len(position_table) - 1)),
        },
        {"table": table, "positions": position_table},
    )


@given(cases())
def test_is_exact(case: Case) -> None:
    e: Embed = case.instruction  # type: ignore[assignment]
    found = run_reference(case)
    table, positions = (case.tensors[name].astype(object) for name in ("table", "positions"))
    ids, at = case.values["target.ids"], case.values["target.positions"]
    for row, (token, position) in enumerate(zip(ids, at, strict=True)):
        vector = table[token] if token >= 0 else 0 * table[0]
        total = vector * e.multiplier + positions[position] * e.position_multiplier
        for name, shift, most in (("out", e.shift, 127), ("wide", e.shift - e.wide_bits, 32767)):
            wanted = [floor(Fraction(t, 1 << shift) + Fraction(1, 2)) for t in total]
            assert found[name][row].tolist() == [max(-most, min(most, w)) for w in wanted]


@pytest.mark.parametrize("ids", [[-2], [3]])
def test_refuses_unknown_tokens(ids: list[int]) -> None:
    table, zero = np.zeros((3, 2), np.int8), np.zeros(1, np.int32)
    with pytest.raises(IndexError, match=r"token ids must lie in \[-1, 3\)"):
        embed(np.array(ids, np.int32), zero, table, table, 1, 1, 1, 1)


@pytest.mark.parametrize("positions", [[-1], [3]])
def test_refuses_unknown_positions(positions: list[int]) -> None:
    table, zero = np.zeros((3, 2), np.int8), np.zeros(1, np.int32)
    with pytest.raises(IndexError, match=r"positions must lie in \[0, 3\)"):
        embed(zero, np.array(positions, np.int32), table, table, 1, 1, 1, 1)
