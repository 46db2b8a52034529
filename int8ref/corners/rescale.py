"""Corner cases of `rescale`."""

from __future__ import annotations

from int8ref.corners.case import Case, case


def cases() -> list[Case]:
    """Return the cases."""
    largest = [0, 1, 127, 128, 255, 256, 32767, -127, -128, -129, -255, -256, -32767, -32768]
    return [
        case("rescale", "exponents", "a power of two gives the exponent below or above",
             x=[[x, 5, -5] for x in largest], low=-32768),
        case("rescale", "ties", "ties round another way than up",
             x=[[128, 1, 3, -1, -3, 5, -5], [256, 2, 6, -2, -6, 1, -1]], low=-32768),
        case("rescale", "saturate", "a largest element that rounds to 128 wraps",
             x=[[32767, -32767], [255, -255], [511, -511], [-32768, 32767]], low=-32768),
        case("rescale", "relu", "negative numbers count for the exponent",
             x=[[100, -32768, 3], [-1, -2, -32768], [300, -300, 1]], low=0),
        case("rescale", "own_low", "the lower limit applies after the shift",
             x=[[1000, -30000, 3], [50, -600, 1], [-501, -500, -499]], low=-500),
        case("rescale", "one_column", "a row of one column",
             x=[[-32768], [32767], [0], [-1]], low=-32768),
        case("rescale", "last_column", "the last columns do not count for the exponent",
             x=[[0] * 16 + [9000], [0] * 16 + [-9000], [9000] + [1] * 16], low=-32767),
    ]  # fmt: skip
