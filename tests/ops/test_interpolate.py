"""interpolate: compared with exact fractions for every input, and with smooth functions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.interpolate import ENTRIES, Interpolate, interpolate
from tests.ops.cases import Case, integers, run_reference

EVERY = np.arange(-(2**15), 2**15).astype(np.int16)[None]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    return Case(
        Interpolate(x="x", table="table", out="out"),
        {"x": draw(integers("int16", shape))},
        {"table": draw(integers("int16", (ENTRIES,)))},
    )


@given(cases())
def test_is_on_the_line(case: Case) -> None:
    table, found = case.tensors["table"].tolist(), run_reference(case)["out"]
    assert found.dtype == np.int16
    for x, y in zip(case.values["x"].ravel().tolist(), found.ravel().tolist(), strict=True):
        place, distance = divmod(x + 2**15, 128)
        line = table[place] + Fraction(table[place + 1] - table[place]) * Fraction(distance, 128)
        assert y == floor(line + Fraction(1, 2))


def test_the_identity_on_every_input() -> None:
    table = np.minimum(128 * np.arange(ENTRIES) - 2**15, 2**15 - 1).astype(np.int16)
    found = interpolate(EVERY, table)
    assert np.abs(found[0, :-128].astype(int) - EVERY[0, :-128]).max() == 0
    assert np.abs(found[0, -128:].astype(int) - EVERY[0, -128:]).max() <= 1  # the end is not 2^15


def test_misses_smooth_functions_by_what_is_told() -> None:
    """swish over [-16, 16], whose second derivative is at most 1/2."""
    ends, unit = 128.0 * np.arange(ENTRIES) - 2**15, 16 / 2**15

    def swish(x: np.ndarray) -> np.ndarray:
        return x / (1 + np.exp(-x))

    table = np.minimum(np.rint(swish(ends * unit) / unit), 2**15 - 1).astype(np.int16)
    error = np.abs(interpolate(EVERY, table)[0] - swish(EVERY[0] * unit) / unit)
    assert error.max() <= 1 + 0.5 * (32 / 512) ** 2 / 8 / unit
