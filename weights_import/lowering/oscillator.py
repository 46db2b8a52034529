"""Sinusoidal positions as a wave and a few frequencies (`int8ref.reference.sinusoids`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from int8ref.reference.sinusoids import QUARTER, TURN_BITS
from weights_import.arithmetic.functions import arctan2, cos, sin
from weights_import.lowering.scale_propagation import DATA_MAX, Float64, Real

LARGEST_ERROR = 1e-3
"""The largest difference between a table and the sinusoids that replace it: an eighth of a step of
8 bits."""


def waves(positions: NDArray[np.int64], frequencies: Float64) -> Float64:
    """For each position, the sine of every frequency, then the cosine of every frequency."""
    angles = positions[:, None] * frequencies
    return np.concatenate([sin(angles), cos(angles)], axis=1)


def frequencies(table: Real) -> NDArray[np.int32] | None:
    """The frequencies of a table [positions, width] of sines, then cosines; None for another table.

    A frequency is the part of a turn for each position, in units of 2^-32.
    """
    positions, width = table.shape
    half = width // 2
    if width % 2 or positions < 2:
        return None
    step = table[1].astype(np.float64)
    angles = arctan2(step[:half], step[half:])
    made = waves(np.arange(positions), angles)
    if np.any(angles < 0) or np.abs(made - table).max() > LARGEST_ERROR:
        return None
    found = np.rint(angles / (2 * np.pi) * 2.0**TURN_BITS)
    return np.minimum(found, 2**31 - 1).astype(np.int32)


def wave() -> NDArray[np.int8]:
    """A quarter of a sine with the amplitude 127, at the middles of its steps."""
    middles = (np.arange(QUARTER) + 0.5) / QUARTER
    found: NDArray[np.int8] = np.rint(DATA_MAX * sin(middles * np.pi / 2)).astype(np.int8)
    return found
