"""Sinusoidal positions as the few integers they are made of (`int8ref.reference.sinusoids`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from int8ref.reference.sinusoids import QUARTER, TURN_BITS
from weights_import.float_model import waves
from weights_import.scale_propagation import DATA_MAX, Real

LARGEST_ERROR = 1e-3
"""How far a table may be from sinusoids that it is taken for: an eighth of what 8 bits tell."""


def frequencies(table: Real) -> NDArray[np.int32] | None:
    """The frequencies, in turns of 2^32 a position, of a table [positions, width] of sines, then
    cosines, or None of a table that is something else."""
    positions, width = table.shape
    half = width // 2
    if width % 2 or positions < 2:
        return None
    angles = np.arctan2(table[1, :half], table[1, half:]).astype(np.float64)
    made = waves(np.arange(positions), angles)
    if np.any(angles < 0) or np.abs(made - table).max() > LARGEST_ERROR:
        return None
    found = np.rint(angles / (2 * np.pi) * 2.0**TURN_BITS)
    return np.minimum(found, 2**31 - 1).astype(np.int32)


def wave() -> NDArray[np.int8]:
    """A quarter of a sine that reaches 127, at the middles of its steps."""
    middles = (np.arange(QUARTER) + 0.5) / QUARTER
    found: NDArray[np.int8] = np.rint(DATA_MAX * np.sin(middles * np.pi / 2)).astype(np.int8)
    return found
