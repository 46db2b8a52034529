"""Decimal numbers, compared with fractions and with logarithms of many digits."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.text.decimals import DIGITS, LN2, LN2_BITS, natural_log, share

EXACT_LN2 = Context(prec=80).ln(2)


def test_the_constant() -> None:
    assert int((EXACT_LN2 * 2**LN2_BITS).to_integral_value()) == LN2


@given(st.integers(-(2**43), 0) | st.integers(-(2**12), 0))
def test_natural_log_is_rounded_once(log2: int) -> None:
    with localcontext(prec=80):
        exact = EXACT_LN2 * log2 / 2**20
        error = abs(natural_log(log2) - exact) * 10**DIGITS
    assert error <= Decimal("0.500001")


@given(st.integers(1, 2**40), st.data())
def test_share_is_rounded_half_up(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    steps = Fraction(share(part, whole)) * 10**DIGITS
    assert steps.denominator == 1
    assert steps - Fraction(1, 2) <= Fraction(part * 10**DIGITS, whole) < steps + Fraction(1, 2)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (natural_log(0), "0.000000"),
        (natural_log(-1), "-0.000001"),
        (natural_log(-(2**20)), "-0.693147"),
        (natural_log(-(2**30)), "-709.782713"),
        (share(0, 3), "0.000000"),
        (share(2, 3), "0.666667"),
        (share(1, 2 * 10**6), "0.000001"),
        (share(3, 3), "1.000000"),
    ],
)
def test_the_text_has_all_places_and_no_exponent(number: Decimal, text: str) -> None:
    assert str(number) == text


def test_the_callers_decimal_context_changes_nothing() -> None:
    with localcontext(prec=2):
        assert str(natural_log(-(2**30))) == "-709.782713"
        assert str(share(2, 3)) == "0.666667"
