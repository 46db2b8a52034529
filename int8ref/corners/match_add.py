"""Corner cases of `match_add`."""

from __future__ import annotations

import numpy as np

from int8ref.corners.case import Case, case

WIDE = [-32768, 32767, -32768, 32767, -32767, 1, 0]
MORE = [-32768, 32767, 32767, -32768, -32767, -1, 0]
SUMS = [-(2**31), 2**31 - 1, -(2**31), 2**31 - 1, 2**30, -1, 0]


def cases() -> list[Case]:
    """Return the cases."""
    return [*_rounding(), *_ends(), *_raised()]


def _rounding() -> list[Case]:
    unit = {"a_multiplier": [1], "b_multiplier": [1], "b_shift": 0}
    return [
        case("match_add", "ties", "ties round another way than up",
             a=[[1, 3, -1, -3, 0, 1, -1]], b=[[0, 0, 0, 0, 1, 2, -2]], shift=1, limit=32767,
             **unit),
        case("match_add", "rounded_once", "each term is rounded by itself",
             a=[[1, 1, -1, -1, 3, 2]], b=[[1, -1, 1, -1, 3, 1]], a_multiplier=[3],
             b_multiplier=[3], b_shift=0, shift=2, limit=127),
        case("match_add", "saturate_16_bits", "a sum wraps, or the lower end is -32768",
             a=[[32767, 32767, -32768, -32768, 32766, -32767, -32766]],
             b=[[127, 1, -128, -1, 1, -1, -2]], shift=1, limit=32767,
             **unit | {"a_multiplier": [2], "b_multiplier": [2]}),
        case("match_add", "saturate_8_bits", "the limit of an 8-bit residual is ignored",
             a=[[254, 255, 256, -254, -255, -256, -257]], b=[[0, 0, 0, 0, 0, 0, 0]], shift=1,
             limit=127, **unit),
        case("match_add", "limit_1", "the smallest limit",
             a=[[0, 1, 2, 3, -1, -2, -3]], b=[[0, 0, 0, 0, 0, 0, 0]], shift=1, limit=1, **unit),
    ]  # fmt: skip


def _ends() -> list[Case]:
    wide = {"b": np.array([MORE], np.int16), "a_multiplier": [32767], "b_multiplier": [32767]}
    return [
        case("match_add", "ends_16", "a product of 16 bits is too narrow",
             a=[WIDE], b_shift=0, shift=16, limit=32767, **wide),
        case("match_add", "ends_32", "a product of 32 bits is too narrow",
             a=np.array([SUMS], np.int32), b_shift=0, shift=32, limit=32767, **wide),
        case("match_add", "ends_raised", "the shifted product is narrower than 61 bits",
             a=np.array([SUMS], np.int32), b_shift=30, shift=46, limit=32767, **wide),
        case("match_add", "shift_61", "the rounding constant of the largest shift is lost",
             a=np.array([SUMS], np.int32), b_shift=30, shift=61, limit=32767, **wide),
        case("match_add", "shift_60", "the rounding constant of a large shift is lost",
             a=np.array([SUMS], np.int32), b_shift=30, shift=60, limit=32767, **wide),
        case("match_add", "cut_before_clamp", "the rounded sum is cut to 32 or 16 bits",
             a=np.array([SUMS], np.int32), b_shift=0, shift=1, limit=32767, **wide),
        case("match_add", "b_of_8_bits", "a term of 8 bits is read as 16 bits, or as unsigned",
             a=[[0, 0, 0, 100]], b=np.array([[-128, 127, -1, -128]], np.int8), a_multiplier=[3],
             b_multiplier=[100], b_shift=5, shift=4, limit=32767),
        case("match_add", "zero_multipliers", "multipliers of 0",
             a=[WIDE], b=np.array([MORE], np.int16), a_multiplier=[0], b_multiplier=[0],
             b_shift=30, shift=1, limit=32767),
        case("match_add", "of_channels", "the first multiplier serves all channels",
             a=[[100, 100, 100], [-7, -7, -7]], b=np.array([[1, 2, 3], [-3, 5, -9]], np.int16),
             a_multiplier=[1, 100, 30000], b_multiplier=[20000, 9, 1], b_shift=1, shift=5,
             limit=32767),
        case("match_add", "a_of_channels", "one multiplier of b serves the first channel only",
             a=[[100, 100, 100]], b=np.array([[1, 2, 3]], np.int16), a_multiplier=[1, 100, 30000],
             b_multiplier=[500], b_shift=1, shift=5, limit=32767),
        case("match_add", "b_of_channels", "one multiplier of a serves the first channel only",
             a=[[100, 100, 100]], b=np.array([[1, 2, 3]], np.int16), a_multiplier=[77],
             b_multiplier=[1, 3000, 20000], b_shift=1, shift=5, limit=32767),
    ]  # fmt: skip


def _raised() -> list[Case]:
    ones = {"a_multiplier": [1], "b_multiplier": [1], "limit": 32767}
    rows = np.array([[100, -100, 7]] * 4, np.int32)
    exponents = np.array([0, 1, 8, 9], np.int8)
    small = np.array([[1, 2, 3]] * 4, np.int16)
    return [
        case("match_add", "exponents", "the exponent of the first row serves all rows",
             a=rows, b=small, exponent=exponents, bias=[5, -5, 0], bias_shift=2, b_shift=3,
             shift=2, **ones),
        case("match_add", "exponent_of_a_only", "the exponent also raises the bias, or b",
             a=rows, b=np.array([[900, -900, 31]] * 4, np.int16), exponent=exponents,
             bias=[32767, -32768, 999], bias_shift=0, b_shift=2, shift=4, **ones),
        case("match_add", "bias_shift_40", "the shifted bias is narrower than 56 bits",
             a=rows, b=small, exponent=exponents, bias=[32767, -32768, 1], bias_shift=40,
             b_shift=0, shift=41, **ones),
        case("match_add", "exponent_widest", "the raised product is narrower than 56 bits",
             a=np.array([[-(2**31), 2**31 - 1, 2**30]], np.int32),
             b=np.array([[-32768, 32767, -32768]], np.int16), exponent=np.array([9], np.int8),
             bias=[-32768, 32767, -32768], bias_shift=40, a_multiplier=[32767],
             b_multiplier=[32767], b_shift=30, shift=46, limit=32767),
        case("match_add", "bias_ties", "the bias is rounded by itself",
             a=np.array([[1, 1, -1]], np.int32), b=np.array([[0, 0, 0]], np.int16),
             exponent=np.array([0], np.int8), bias=[1, -2, 2], bias_shift=0, b_shift=0, shift=1,
             **ones),
    ]  # fmt: skip
