"""Converts integers to decimal numbers.  Each number is rounded once, at the end."""

from __future__ import annotations

from decimal import Decimal

from int8ref.spec.arithmetic import LOG_BITS

DIGITS = 6
"""Decimal places of a printed number.  10^-6 is slightly coarser than the unit 2^-20 * ln 2."""
LN2_BITS = 64
LN2 = 12786308645202655660
"""ln 2 in units of 2^-64, rounded to nearest."""


def natural_log(log2: int) -> Decimal:
    """Return log2 * 2^-LOG_BITS * LN2 * 2^-LN2_BITS with DIGITS decimal places, halves rounded up.

    The engine computes logarithms of base 2 in fixed point.  This function converts them to natural
    logarithms.  The rounding has an error of at most half of the last decimal place.  For
    magnitudes below 2^40, the constant LN2 adds an error of less than 10^-7 of this place.
    """
    bits = LOG_BITS + LN2_BITS
    return _decimal((log2 * LN2 * 10**DIGITS + (1 << (bits - 1))) >> bits)


def share(part: int, whole: int) -> Decimal:
    """Return part / whole with DIGITS decimal places, halves rounded up.  `whole` > 0."""
    return _decimal((2 * part * 10**DIGITS + whole) // (2 * whole))


def _decimal(units: int) -> Decimal:
    """Return `units` * 10^-DIGITS exactly.  The decimal context of the caller has no effect."""
    return Decimal(f"{units}e-{DIGITS}")
