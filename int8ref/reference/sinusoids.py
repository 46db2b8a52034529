"""Sinusoidal positions from one quarter of a sine wave, without a table of positions."""

import numpy as np
import numpy.typing as npt

QUARTER = 256
"""Entries of a quarter of the wave."""
TURN_BITS = 32
"""A full turn of a phase is 2^32."""
PLACE_BITS = 10
"""Bits of a phase that choose an entry: two bits for the quarter, eight bits inside the quarter."""
MAX_POSITIONS = 1 << 20


def sinusoids(
    positions: npt.NDArray[np.int32],
    frequencies: npt.NDArray[np.int32],
    wave: npt.NDArray[np.int8],
) -> npt.NDArray[np.int8]:
    """The sines of all frequencies, followed by their cosines, for each position.

        phase[r, i]      = positions[r] * frequencies[i] mod 2^32         (2^32 is a full turn)
        place            = phase >> 22                                    (10 bits)
        out[r, i]        = value(place)                                   (the sine)
        out[r, half + i] = value(place + 256 mod 1024)                    (the cosine)

    `wave` is a quarter of the sine wave, at the middles of 256 steps, and

        value(256 q + j) = wave[j], wave[255 - j], -wave[j], -wave[255 - j]   for q = 0, 1, 2, 3.

    `positions`: int32 [rows] in [0, 2^20); `frequencies`: int32 [half] in [0, 2^31); `wave`: int8
    [256] in [-127, 127]; out: int8 [rows, 2 * half] in [-127, 127].  The place is rounded down.
    The operation rounds no value, because the entries of the wave are already rounded.

    Raises no error; `embed` checks the positions.

    Source: Vaswani et al. 2017, section 3.5, in the column order of tensor2tensor; the numerically
    controlled oscillator of Tierney et al. 1971.
    """
    phase = positions[:, None].astype(np.int64) * frequencies
    place = (phase >> (TURN_BITS - PLACE_BITS)) & (4 * QUARTER - 1)
    return np.concatenate([_value(place, wave), _value(place + QUARTER, wave)], axis=1)


def _value(place: npt.NDArray[np.int64], wave: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    quarter, j = place // QUARTER % 4, place % QUARTER
    found = wave[np.where(quarter % 2 == 1, QUARTER - 1 - j, j)]
    return np.where(quarter >= 2, -found, found).astype(np.int8)
