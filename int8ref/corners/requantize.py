"""Corner cases of `requantize`."""

from __future__ import annotations

from int8ref.corners.case import INT32, Case, case

ENDS = [*INT32, INT32[0] + 1, 2**30, -(2**30), 65536, -65536, 32768, -32768, 1, -1, 0]


def cases() -> list[Case]:
    """Return the cases."""
    ties = [1, 3, 5, -1, -3, -5, 2, -2, 0, 6, -6]
    near = [65533, 65534, 65535, 65536, -65533, -65534, -65535, -65536, -65537, -65538]
    return [
        case("requantize", "ties", "ties round another way than up",
             x=[ties], multiplier=[1], shift=[1], limit=32767),
        case("requantize", "ties_multiplier", "ties of a product round another way than up",
             x=[ties], multiplier=[16384], shift=[15], limit=127),
        case("requantize", "near_ties", "the number is rounded before the multiplication",
             x=[[*ties, 21845, 21846, -21845, -21846]], multiplier=[3], shift=[17], limit=32767),
        case("requantize", "saturate_16_bits", "a result wraps, or the lower end is -32768",
             x=[near], multiplier=[1], shift=[1], limit=32767),
        case("requantize", "own_limit", "the limit is that of the type",
             x=[[99, 100, 101, -99, -100, -101, -102, 300, -300]], multiplier=[1], shift=[1],
             limit=50),
        case("requantize", "limit_1", "the smallest limit",
             x=[[0, 1, -1, 2, -2, 3, -3, 9, -9]], multiplier=[1], shift=[1], limit=1),
        case("requantize", "wide_products", "the product is narrower than 47 bits",
             x=[ENDS], multiplier=[32767], shift=[31], limit=32767),
        case("requantize", "cut_before_clamp", "the rounded product is cut to 32 or 16 bits",
             x=[ENDS], multiplier=[32767], shift=[1], limit=32767),
        case("requantize", "shift_46", "a shift above 31 is taken modulo 32",
             x=[ENDS], multiplier=[32767], shift=[46], limit=32767),
        case("requantize", "shift_62", "the rounding constant of the largest shift is lost",
             x=[ENDS], multiplier=[32767], shift=[62], limit=32767),
        case("requantize", "zero_multiplier", "a multiplier of 0",
             x=[ENDS], multiplier=[0], shift=[1], limit=32767),
        case("requantize", "of_channels", "the first multiplier serves all channels",
             x=[[1000, 1000, 1000], [-1000, -1000, -1000]], multiplier=[1, 500, 32767],
             shift=[13], limit=32767),
    ]  # fmt: skip
