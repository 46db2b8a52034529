"""Corner cases of `interpolate`."""

from __future__ import annotations

import numpy as np

from int8ref.corners.case import Case, case, spread

PLACES = [-32768, -32767, -32705, -32641, -32640, -129, -128, -127, -65, -64, -63, -1, 0, 1, 63, 64,
          65, 127, 128, 129, 32639, 32640, 32704, 32766, 32767]  # fmt: skip
"""Ends, entries of the table, and numbers half-way between two entries."""


def cases() -> list[Case]:
    """Return the cases."""
    steps = np.arange(513, dtype=np.int64)
    jumps = np.where(steps % 2 == 0, -32768, 32767).astype(np.int16)
    last = np.where(steps == 512, 32767, 0).astype(np.int16)
    return [
        case("interpolate", "ties", "ties round another way than up",
             x=[PLACES], table=(steps - 256).astype(np.int16)),
        case("interpolate", "ties_falling", "ties of a falling line round another way than up",
             x=[PLACES], table=(256 - steps).astype(np.int16)),
        case("interpolate", "difference_17_bits", "the difference of two entries wraps at 16 bits",
             x=[PLACES, PLACES[::-1]], table=jumps),
        case("interpolate", "every_entry", "an index is off by one, or rounds towards zero",
             x=np.arange(-32768, 32768, 97, dtype=np.int16)[None],
             table=spread("int16", (513,), -32768, 32767)),
        case("interpolate", "ends", "the last entry is left out",
             x=[[-32768, 32767, 32640, -32640]], table=last),
        case("interpolate", "constant", "a constant of -32768 wraps",
             x=[PLACES], table=np.full(513, -32768, np.int16)),
    ]  # fmt: skip
