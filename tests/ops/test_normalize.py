"""normalize: compared with exact roots of integers."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.reference.normalize import Normalize
from tests.ops.cases import Case, integers, run_reference

PRECISE = 2**80


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    length = draw(st.sampled_from([127, 500, 1, 32767]) | st.integers(1, 32767))
    return case_of(draw(integers("int16", shape)), length)


def case_of(x: np.ndarray, length: int) -> Case:
    return Case(Normalize(x="x", length=length, out="out"), {"x": x})


@given(cases())
@example(case_of(np.full((1, 8192), -32768, np.int16), 32767))
@example(case_of(np.full((1, 8192), 1, np.int16), 127))
@example(case_of(np.array([[1, 0], [0, -1], [3, 4]], np.int16), 127))
@example(case_of(np.zeros((2, 3), np.int16), 127))
def test_is_exact_to_the_rounding(case: Case) -> None:
    """The root rounds down to 2^-8, so that a number may be larger by a share of 2^-8 / root."""
    op: Normalize = case.instruction  # type: ignore[assignment]
    found = run_reference(case)["out"]
    assert found.dtype == np.int8
    for row, result in zip(case.values["x"].tolist(), found.tolist(), strict=True):
        square = sum(x * x for x in row)
        if not square:
            assert not any(result)
            continue
        root = Fraction(isqrt(square * PRECISE**2), PRECISE)
        for x, number in zip(row, result, strict=True):
            exact = op.length * x / root
            error = Fraction(1, 2) + abs(exact) * (Fraction(1, 250) / root + Fraction(1, 2**28))
            assert abs(number) <= 127
            assert abs(max(-127, min(127, exact)) - number) <= error


@given(cases())
def test_the_formula_in_python_integers(case: Case) -> None:
    op: Normalize = case.instruction  # type: ignore[assignment]
    found = run_reference(case)["out"]
    for row, result in zip(case.values["x"].tolist(), found.tolist(), strict=True):
        root = max(isqrt(2**16 * sum(x * x for x in row)), 1)
        k = root.bit_length() + 29
        inverse, shift = 2**k // root, k - 8
        wanted = [(x * op.length * inverse + (1 << (shift - 1))) >> shift for x in row]
        assert result == [max(-127, min(127, x)) for x in wanted]


@given(st.integers(2, 60), st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_the_scale_of_a_row_cancels(width: int, seed: int, factor: int) -> None:
    """Equal directions differ by the rounding of the root alone, so by at most one."""
    x = np.random.default_rng(seed).integers(-160, 160, (1, width)).astype(np.int16)
    x[0, 0] = 160  # the root is large enough
    short, long = (run_reference(case_of(y, 127))["out"].astype(int) for y in (x, x * factor))
    assert np.abs(short - long).max() <= 1
