"""Corner cases of `narrow`."""

from __future__ import annotations

from int8ref.corners.case import Case, case

ENDS = [-32768, -32767, 32767, 16384, -16384, 256, -256, 128, -128, 127, -127, 1, -1, 0]


def cases() -> list[Case]:
    """Return the cases."""
    steps = [253, 254, 255, 256, -253, -254, -255, -256, -257, -258]
    return [
        case("narrow", "ties", "ties round another way than up",
             x=[[1, 3, 5, -1, -3, -5, 2, -2, 0]], multiplier=[1], shift=[1]),
        case("narrow", "ties_multiplier", "ties of a product round another way than up",
             x=[[1, 3, 5, -1, -3, -5, 2, -2, 0]], multiplier=[16384], shift=[15]),
        case("narrow", "saturate", "a result wraps, or the lower end is -128",
             x=[steps, [*reversed(steps)]], multiplier=[1], shift=[1]),
        case("narrow", "cut_before_clamp", "the product is cut to 16 or 32 bits before the clamp",
             x=[ENDS], multiplier=[32767], shift=[1]),
        case("narrow", "ends", "a number of -32768 is read as -32767",
             x=[ENDS], multiplier=[32767], shift=[23]),
        case("narrow", "shift_62", "the rounding constant of the largest shift is lost",
             x=[ENDS], multiplier=[32767], shift=[62]),
        case("narrow", "shift_32", "a shift above 31 is taken modulo 32",
             x=[ENDS], multiplier=[32767], shift=[32]),
        case("narrow", "zero_multiplier", "a multiplier of 0",
             x=[ENDS], multiplier=[0], shift=[1]),
        case("narrow", "of_channels", "the first multiplier serves all channels",
             x=[[1000, 1000, 1000], [-1000, -1000, -1000]], multiplier=[32767, 500, 1],
             shift=[18]),
    ]  # fmt: skip
