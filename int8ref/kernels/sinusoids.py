"""Compiled twin of `int8ref.reference.sinusoids`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel
from int8ref.reference import sinusoids as meaning

QUARTER = np.int64(meaning.QUARTER)
LAST = np.int64(meaning.QUARTER - 1)
DROP = np.int64(meaning.TURN_BITS - meaning.PLACE_BITS)


@kernel
def sinusoids(position, frequencies, wave, out):
    """The row of one position."""
    half = len(frequencies)
    for i in range(half):
        place = (np.int64(position) * np.int64(frequencies[i])) >> DROP
        out[i] = _value(place, wave)
        out[half + i] = _value(place + QUARTER, wave)


@kernel
def _value(place, wave):
    j = place & LAST
    if place & QUARTER != 0:
        j = LAST - j
    found = wave[j]
    if place & (QUARTER + QUARTER) != 0:
        found = np.int8(-found)
    return found
