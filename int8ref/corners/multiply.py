"""Corner cases of `multiply`."""

from __future__ import annotations

from int8ref.corners.case import Case, case

A = [-32768, -32768, 32767, 32767, -1, 1, 0, 181, -181, 255]
B = [-128, 127, -128, 127, -128, -128, -128, 1, 1, 128 - 1]


def cases() -> list[Case]:
    """Return the cases."""
    ones = [1] * 9
    ties = [1, 3, 5, -1, -3, -5, 2, -2, 0]
    steps = [253, 254, 255, 256, -254, -255, -256, -257, -258]
    wide = [32767, 32766, -32768, -32767, 16384, -16384, 300, -300, 0]
    return [
        case("multiply", "ties", "ties round another way than up",
             a=[ties, [-x for x in ties]], b=[ones, [-1] * 9], multiplier=[1], shift=[1],
             limit=127),
        case("multiply", "ends", "a number of -128 or -32768 is read as its neighbour",
             a=[A], b=[B], multiplier=[1], shift=[8], limit=32767),
        case("multiply", "wide_products", "the product is narrower than 38 bits",
             a=[A], b=[B], multiplier=[32767], shift=[23], limit=32767),
        case("multiply", "saturate_8_bits", "a result of 8 bits wraps, or its lower end is -128",
             a=[steps], b=[ones], multiplier=[1], shift=[1], limit=127),
        case("multiply", "limit_128", "a result above 127 has 8 bits",
             a=[steps], b=[ones], multiplier=[1], shift=[1], limit=128),
        case("multiply", "saturate_16_bits", "a result of 16 bits wraps, or its end is -32768",
             a=[wide], b=[[2, 3, 2, 3, 4, 4, 127, 127, 1]], multiplier=[1], shift=[1],
             limit=32767),
        case("multiply", "limit_1", "the smallest limit",
             a=[steps], b=[ones], multiplier=[1], shift=[8], limit=1),
        case("multiply", "cut_before_clamp", "the rounded product is cut to 32 or 16 bits",
             a=[A], b=[B], multiplier=[32767], shift=[1], limit=127),
        case("multiply", "shift_62", "the rounding constant of the largest shift is lost",
             a=[A], b=[B], multiplier=[32767], shift=[62], limit=32767),
        case("multiply", "zero_multiplier", "a multiplier of 0",
             a=[A], b=[B], multiplier=[0], shift=[1], limit=32767),
        case("multiply", "of_channels", "the first multiplier serves all channels",
             a=[[100, 100, 100], [-100, -100, -100]], b=[[10, -10, 10], [10, 10, -10]],
             multiplier=[1, 500, 32767], shift=[13], limit=32767),
    ]  # fmt: skip
