"""Normalisation: penalties equal exact powers, and scores equal fractions."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.search import BeamOptions, Normalization
from int8ref.search.length import MAX_PENALTY, normalized, penalties, penalty
from int8ref.search.request import Request
from int8ref.spec.limits import MAX_ALPHA, MAX_STEPS, MAX_TOKENS

normalizations = st.sampled_from(get_args(Normalization))
alphas = st.integers(0, MAX_ALPHA) | st.sampled_from([0, 50, 60, 100, 150, 200, MAX_ALPHA])
lengths = st.integers(1, 200) | st.integers(1, MAX_TOKENS)


def exact(normalization: Normalization, alpha: int, length: int) -> Decimal:
    """Return the penalty in units of 2^-16, to some 90 decimal places."""
    with localcontext(prec=400):
        base = {"length": Decimal(length), "gnmt": Decimal(5 + length) / 6, "none": Decimal(1)}
        return base[normalization] ** (Decimal(alpha) / 100) * 2**16


@given(normalizations, alphas, lengths)
@example("length", 100, 17)
@example("length", 60, MAX_TOKENS)
@example("gnmt", MAX_ALPHA, MAX_TOKENS)
@example("gnmt", 1, 1)
def test_penalties_are_rounded_powers(
    normalization: Normalization, alpha: int, length: int
) -> None:
    found, wanted = penalty(normalization, alpha, length), exact(normalization, alpha, length)
    if found == MAX_PENALTY:
        assert wanted >= MAX_PENALTY - 1
    else:
        assert found == math.floor(wanted + Decimal("0.5"))


def test_penalties_that_are_known() -> None:
    one = 1 << 16
    assert [penalty("length", 100, n) for n in (1, 2, 77)] == [one, 2 * one, 77 * one]
    assert [penalty("length", 50, n) for n in (4, 9, 2)] == [2 * one, 3 * one, 92682]
    assert [penalty("gnmt", 100, n) for n in (1, 7, 13)] == [one, 2 * one, 3 * one]
    assert [penalty("gnmt", 200, n) for n in (1, 7, 2)] == [one, 4 * one, 89202]  # 49/36
    assert {penalty(n, 0, 5) for n in get_args(Normalization)} == {one}
    assert penalty("none", 300, 50) == one


@given(normalizations, alphas)
def test_penalties_never_fall(normalization: Normalization, alpha: int) -> None:
    table = penalties(BeamOptions(normalization=normalization, alpha=alpha), 60)
    assert len(table) == 61
    assert table[1] == 1 << 16
    assert all(here <= after for here, after in pairwise(table))


@given(st.integers(-(2**43), 0), st.integers(1 << 16, MAX_PENALTY))
@example(-(2**43), MAX_PENALTY)
@example(-(2**43), 1 << 16)
@example(-1, 1 << 17)
@example(-3, 1 << 17)
def test_scores_are_rounded_quotients(total: int, divisor: int) -> None:
    wanted = math.floor(Fraction(total << 16, divisor) + Fraction(1, 2))
    assert normalized(total, divisor) == wanted


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"beam_size": 0}, r"beam_size is 0, outside \[1, 64\]"),
        ({"beam_size": 65}, r"beam_size is 65, outside"),
        ({"n_best": 0}, r"n_best is 0, outside \[1, 4\]"),
        ({"n_best": 5}, r"n_best is 5, outside \[1, 4\]"),
        ({"alpha": -1}, r"alpha is -1, outside \[0, 1000\]"),
        ({"alpha": 1001}, r"alpha is 1001, outside"),
        ({"normalization": "mean"}, r"normalization 'mean' is not one of \('length', "),
    ],
)
def test_refuses_options(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BeamOptions(**fields)


def test_refuses_limits_of_a_beam() -> None:
    assert len(penalties(BeamOptions(), MAX_TOKENS)) == MAX_TOKENS + 1
    with pytest.raises(ValueError, match=r"beam search is 8193, outside \[1, 8192\]"):
        penalties(BeamOptions(), MAX_TOKENS + 1)


@pytest.mark.parametrize("limit", [0, -1, MAX_STEPS + 1])
def test_refuses_limits(limit: int) -> None:
    for allowed in (1, MAX_STEPS):
        Request((), allowed).check(0, 9)
    with pytest.raises(ValueError, match=rf"a limit is {limit}, outside \[1, 131072\]"):
        Request((), limit).check(0, 9)
