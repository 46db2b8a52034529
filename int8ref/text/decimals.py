"""Integers become decimal numbers: the last step before a number is shown, rounded once."""

from __future__ import annotations

from decimal import Decimal

from int8ref.spec.arithmetic import LOG_BITS

DIGITS = 6
"""Decimal places of what is shown: 10^-6 is a little coarser than 2^-20 * ln 2."""
LN2_BITS = 64
LN2 = 12786308645202655660
"""ln 2 in units of 2^-64, rounded to the nearest."""


def natural_log(log2: int) -> Decimal:
    """log2 * 2^-LOG_BITS * LN2 * 2^-LN2_BITS with DIGITS decimal places, halves rounded up.

    From a logarithm of base 2 in fixed point, which is what the engine computes, to a natural one.
    For magnitudes below 2^40 the constant adds less than 10^-7 to the half of the last place that
    the one rounding may err.
    """
    bits = LOG_BITS + LN2_BITS
    return _decimal((log2 * LN2 * 10**DIGITS + (1 << (bits - 1))) >> bits)


def share(part: int, whole: int) -> Decimal:
    """part / whole with DIGITS decimal places, halves rounded up; `whole` > 0."""
    return _decimal((2 * part * 10**DIGITS + whole) // (2 * whole))


def _decimal(units: int) -> Decimal:
    """`units` * 10^-DIGITS; exact, whatever the precision of the caller's decimal context."""
    return Decimal(f"{units}e-{DIGITS}")
