"""embed: two tables on one scale, compared with exact fractions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.program.inputs import Values
from int8ref.reference.embed import Embed, embed
from int8ref.reference.sinusoids import QUARTER, sinusoids
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Array, Case, integers, run_reference
from weights_import.lowering.oscillator import wave


@st.composite
def cases(draw: st.DrawFn) -> Case:
    form = draw(st.sampled_from(["table", "table", "wave", "nothing"]))
    rows, width = draw(st.integers(1, 6)), draw(st.integers(1, 40))
    width += width % 2 if form == "wave" else 0
    table = draw(integers("int8", (draw(st.integers(1, 9)), width)))
    bits = draw(st.sampled_from(["int8", "int8", "int16"]))
    position_table = draw(integers(bits, (draw(st.integers(1, 9)), width)))
    shift = draw(st.integers(1, 30))
    room = 2**31 - 1 - 2 ** (shift - 1)
    multiplier = draw(st.sampled_from([0, room // 128]) | st.integers(0, room // 128))
    of_channels = draw(st.booleans())
    rest = (room - 128 * multiplier) // max(1, int(np.abs(position_table.astype(int)).max()))
    rest = min(rest, 2**30)
    fields: dict[str, Any] = {"ids": "target.ids", "table": "table", "multiplier": multiplier}
    fields |= {"shift": shift, "wide_bits": draw(st.integers(1, min(shift, 15)))}
    values: Values = {"target.ids": draw(integers("int32", (rows,), -1, len(table) - 1))}
    tensors = {"table": table}
    if of_channels:
        fields |= {"multiplier": 0, "channel_multiplier": "factors"}
        tensors["factors"] = draw(integers("int32", (width,), 0, multiplier))
    # Without a table, this factor has no operand.
    fields["position_multiplier"] = draw(st.sampled_from([0, rest]) | st.integers(0, rest))
    if form == "table":
        fields |= {"positions": "target.positions", "position_table": "positions"}
        values["target.positions"] = draw(integers("int32", (rows,), 0, len(position_table) - 1))
        tensors["positions"] = position_table
    if form == "wave":
        most = draw(st.sampled_from([1, 1024, 2**20]) | st.integers(1, 2**20))
        fields |= {"positions": "target.positions", "max_positions": most}
        fields |= {"frequencies": "frequencies", "wave": "wave"}
        values["target.positions"] = draw(integers("int32", (rows,), 0, most - 1))
        tensors["frequencies"] = draw(integers("int32", (width // 2,), 0))
        largest = int(np.abs(position_table.astype(int)).max())
        tensors["wave"] = draw(integers("int8", (QUARTER,), -min(largest, 127), min(largest, 127)))
    return Case(Embed(out="out", wide="wide", **fields), values, tensors)


@dataclass(frozen=True)
class Sinusoids:
    """The rows of positions, computed number by number from the definition."""

    frequencies: Array
    wave: Array

    def __getitem__(self, position: int) -> Array:
        phases = [int(position) * f % 2**32 for f in self.frequencies.tolist()]
        columns = [*phases, *((phase + 2**30) % 2**32 for phase in phases)]
        return np.array([self.value(phase // 2**22) for phase in columns], np.int8)

    def value(self, place: int) -> int:
        quarter, j = divmod(place, 256)
        found = int(self.wave[255 - j if quarter in (1, 3) else j])
        return -found if quarter >= 2 else found


@given(cases())
def test_is_exact(case: Case) -> None:
    e: Embed = case.instruction  # type: ignore[assignment]
    found = run_reference(case)
    table, positions = (case.tensors.get(name) for name in ("table", "positions"))
    assert table is not None
    if e.wave is not None:
        positions = Sinusoids(case.tensors["frequencies"], case.tensors["wave"])
    for row, token in enumerate(case.values["target.ids"]):
        vector = table[token] if token >= 0 else 0 * table[0]
        total = vector.astype(object) * case.tensors.get("factors", e.multiplier)
        if positions is not None:
            position = positions[case.values["target.positions"][row]]
            total += position.astype(object) * e.position_multiplier
        for name, shift, most in (("out", e.shift, 127), ("wide", e.shift - e.wide_bits, 32767)):
            wanted = [floor(Fraction(t, 1 << shift) + Fraction(1, 2)) for t in total]
            assert found[name][row].tolist() == [max(-most, min(most, w)) for w in wanted]


@pytest.mark.parametrize("ids", [[-2], [3]])
def test_refuses_unknown_tokens(ids: list[int]) -> None:
    table = np.zeros((3, 2), np.int8)
    with pytest.raises(IndexError, match=r"token ids must lie in \[-1, 3\)"):
        embed(np.array(ids, np.int32), None, table, None, None, None, 0, 1, None, 0, 1, 1)


@pytest.mark.parametrize("position", [-1, 3])
@pytest.mark.parametrize("made", [False, True])
def test_refuses_unknown_positions(position: int, made: bool) -> None:
    table, zero = np.zeros((3, 2), np.int8), np.zeros(1, np.int32)
    wave = np.zeros(QUARTER, np.int8)
    positions = (None, zero, wave, 3) if made else (table, None, None, 0)
    with pytest.raises(IndexError, match=r"positions must lie in \[0, 3\)"):
        embed(zero, np.array([position], np.int32), table, *positions, 1, None, 1, 1, 1)


@given(st.floats(0, 3.14), st.integers(0, 2**20 - 1))
def test_a_wave_is_within_one_unit_of_sinusoids(frequency: float, position: int) -> None:
    """Rounding gives half a unit.  The position on the wave gives 127 * pi / 1024 of a unit."""
    turns = np.array([round(frequency / (2 * np.pi) * 2**32)], np.int32)
    found = sinusoids(np.array([position], np.int32), turns, wave())[0]
    angle = 2 * np.pi * ((position * int(turns[0])) % 2**32) / 2**32
    assert np.abs(found - 127 * np.array([np.sin(angle), np.cos(angle)])).max() < 0.9


WRONG = [
    ({"position_table": "table"}, "a table of positions beside a wave"),
    ({"frequencies": None}, "wave and frequencies need each other"),
    ({"wave": None}, "wave and frequencies need each other"),
    (
        {"wave": None, "frequencies": None, "position_table": "table"},
        r"max_positions is 9, outside \[0, 0\]",
    ),
    ({"wave": None, "frequencies": None}, "positions and their table need each other"),
    ({"positions": None}, "positions and their table need each other"),
    ({"max_positions": 0}, "max_positions is 0, outside \\[1, 1048576\\]"),
    ({"max_positions": 2**20 + 1}, "max_positions is 1048577"),
    ({"table": "odd"}, "a wave, but a width of 3"),
    ({"frequencies": "negative"}, "holds -1, below 0"),
    ({"frequencies": "long"}, "wanted .2."),
    ({"wave": "low"}, "holds -128, below -127"),
    ({"wave": "frequencies"}, "is int32.2., not int8"),
    ({"position_multiplier": 2**25}, "the sum may overflow 32 bits"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_refuses_waves(fields: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {
        "ids": "target.ids", "positions": "target.positions", "table": "table", "wave": "wave",
        "frequencies": "frequencies", "max_positions": 9, "multiplier": 1,
        "position_multiplier": 1, "shift": 1, "wide_bits": 1, "out": "out", "wide": "wide",
    }  # fmt: skip
    tensors = {
        "table": np.ones((5, 4), np.int8),
        "odd": np.ones((5, 3), np.int8),
        "frequencies": np.array([5, 7], np.int32),
        "negative": np.array([5, -1], np.int32),
        "long": np.array([5, 6, 7], np.int32),
        "wave": wave(),
        "low": np.full(QUARTER, -128, np.int8),
    }
    rows = {name: np.zeros(1, np.int32) for name in ("target.ids", "target.positions")}
    Case(Embed(**right), rows, tensors).types()
    with pytest.raises(ProgramError, match=message):
        Case(Embed(**right | fields), rows, tensors).types()
