"""embed: two tables on one scale, against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.executor import Values
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
    fields: dict[str, Any] = {"ids": "target.ids", "table": "table", "multiplier": multiplier}
    fields |= {"shift": shift, "wide_bits": draw(st.integers(1, min(shift, 15)))}
    values: Values = {"target.ids": draw(integers("int32", (rows,), -1, len(table) - 1))}
    tensors = {"table": table}
    # Without a table this factor has nothing to multiply.
    fields["position_multiplier"] = draw(st.sampled_from([0, rest]) | st.integers(0, rest))
    if draw(st.integers(0, 3)):
        fields |= {"positions": "target.positions", "position_table": "positions"}
        values["target.positions"] = draw(integers("int32", (rows,), 0, len(position_table) - 1))
        tensors["positions"] = position_table
    return Case(Embed(out="out", wide="wide", **fields), values, tensors)


@given(cases())
def test_is_exact(case: Case) -> None:
    e: Embed = case.instruction  # type: ignore[assignment]
    found = run_reference(case)
    table, positions = (case.tensors.get(name) for name in ("table", "positions"))
    assert table is not None
    for row, token in enumerate(case.values["target.ids"]):
        vector = table[token] if token >= 0 else 0 * table[0]
        total = vector.astype(object) * e.multiplier
        if positions is not None:
            position = positions[case.values["target.positions"][row]]
            total += position.astype(object) * e.position_multiplier
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
