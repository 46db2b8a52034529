"""Corner cases of `rms_norm_branch`."""

from __future__ import annotations

from typing import Any

import numpy as np

from int8ref.corners.case import INT32, Case, case, full, spread

LEAST, MOST = INT32


def cases() -> list[Case]:
    """Return the cases."""
    return [*_shifts(), *_epsilons(), *_gains(), *_raised()]


def _branch(name: str, reason: str, x: Any, **fields: Any) -> Case:
    """Return a case; a multiplier of 1 and a gain of 2^9 are the defaults."""
    n = np.shape(x)[1]
    usual = {"multiplier": [1], "gain": full("int16", (n,), 512), "shift": 9, "epsilon": 0,
             "epsilon_shift": 0}  # fmt: skip
    return case("rms_norm_branch", name, reason, x=x, **usual | fields)


def _shifts() -> list[Case]:
    largest = [2**bits + step for bits in (14, 15, 16, 20, 30) for step in (-1, 0, 1)]
    rows = [[x, 3, -5] for x in [*largest, *(-x for x in largest), LEAST, MOST]]
    return [
        _branch("row_shift", "a power of two gives the shift below or above", rows),
        _branch("row_shift_ties", "ties of the row shift round another way than up",
                [[65535, 1, -1, 3, -3], [1 << 16, 2, -2, 6, -6], [65536, 1, -1, 65535, 5]]),
        _branch("row_shift_saturates", "a number that rounds to 2^15 wraps",
                [[65535, -65535, 0], [-65536, 65535, 1], [MOST, LEAST, 0], [131071, -131071, 7]]),
        _branch("row_shift_saturates_2", "a number that rounds to 2^15 stays 2^15",
                [[65535, 1976], [1976, 65535]]),
        _branch("wide_products", "the product is narrower than 47 bits",
                [[LEAST, MOST, 1 << 30], [MOST, 7, -7], [1 << 16, -1, 5]], multiplier=[32767]),
        _branch("zeros", "a row of zeros divides by 0", [[0, 0, 0], [1, 0, 0], [0, 0, 0]]),
        _branch("zero_multiplier", "a multiplier of 0", [[5, -5, 9]], multiplier=[0]),
        _branch("of_channels", "the first multiplier serves all channels",
                [[100, 100, 100], [-5, 70, 9]], multiplier=[1, 30000, 500]),
        _branch("one_column", "a row of one column", [[5], [-5], [LEAST], [MOST]]),
        _branch("rows", "the shift of the first row serves all rows",
                [[100, -200, 5], [100 << 20, -200 << 20, 5 << 20], [1, 0, -1], [LEAST, 0, MOST]]),
    ]  # fmt: skip


def _epsilons() -> list[Case]:
    rows = [[3, -4, 5], [30000, -7, 1], [1 << 20, -5, 3 << 18], [LEAST, 9, MOST], [0, 0, 0]]
    return [
        _branch("epsilon_1", "epsilon is left out", rows, epsilon=1),
        _branch("epsilon_falls", "the row shift does not apply to epsilon, or applies once",
                rows, epsilon=99999, epsilon_shift=12),
        _branch("epsilon_vanishes", "a negative shift of epsilon rounds to the nearest",
                rows, epsilon=(1 << 30) - 1, epsilon_shift=0),
        _branch("epsilon_floor", "a falling epsilon rounds to the nearest",
                [[60018, 63974], [63974, 60018]], epsilon=18590898),
        _branch("epsilon_falls_far", "the falling shift of epsilon is cut at 30",
                [[1076625408, 416808960], [416808960, 1076625408]], epsilon=1 << 30),
        _branch("epsilon_rises", "the rising shift of epsilon is cut below 30",
                [[3000, -7000, 9999], [30, -70, 99], [1, 2, -3]], epsilon=1, epsilon_shift=30),
        _branch("epsilon_rises_far", "the rising shift of epsilon is cut above 30",
                [[3000, -7000, 9999], [30, -70, 99], [1, 2, -3]], epsilon=1, epsilon_shift=31),
        _branch("epsilon_most", "the shift of epsilon is not cut at 30 bits", rows,
                epsilon=1 << 30, epsilon_shift=255, gain=[32767] * 3, shift=1),
        _branch("epsilon_shift_30", "the shift of epsilon is cut below 30 bits", rows,
                epsilon=12345, epsilon_shift=30, gain=[32767] * 3, shift=1),
        _branch("epsilon_shift_31", "the shift of epsilon is cut above 30 bits", rows,
                epsilon=12345, epsilon_shift=31, gain=[32767] * 3, shift=1),
    ]  # fmt: skip


def _gains() -> list[Case]:
    small = [[1, -1, 3, -3], [-3, 3, -1, 1]]
    n = 8192
    signs = np.where(np.arange(n) % 2 == 0, LEAST, MOST).astype(np.int32)[None]
    alone = full("int32", (2, 300), 0)
    alone[0, 0], alone[1, 299] = MOST, -7
    return [
        _branch("alone", "the normalised value of one number among zeros is too narrow", alone,
                gain=full("int16", (300,), 32767), shift=15),
        _branch("ties_of_t", "ties of the normalised value round another way than up", small,
                gain=[2] * 4, shift=1, epsilon=2**26 - 80),
        _branch("ties", "ties after the gain round another way than up", small, gain=[1] * 4,
                shift=1, epsilon=2**24 - 80),
        _branch("saturate", "a result wraps, or the lower end is -32768", [[9, -9], [-9, 9]],
                gain=[32767, 32767], shift=1),
        _branch("saturate_near", "the clamp is one off", [[5], [-5]], gain=[32767], shift=10),
        _branch("gains", "the gain of the first channel serves all channels", [[100, -50, 20]],
                gain=[-32768, 32767, 5], shift=14),
        _branch("shift_30", "the rounding constant of the largest shift is lost", [[5, -5, 9]],
                gain=[32767, 32767, -32768], shift=30),
        _branch("widest", "a sum of squares is too narrow", signs, multiplier=[32767],
                gain=full("int16", (n,), 9000), shift=14),
        _branch("width_33", "columns beside a whole block are lost",
                spread("int32", (2, 33), LEAST, MOST), gain=spread("int16", (33,), -9999, 9999)),
    ]  # fmt: skip


def _raised() -> list[Case]:
    rows = [[100, -200, 300]] * 4
    exponents = np.array([0, 1, 8, 9], np.int8)
    return [
        _branch("exponents", "the exponent of the first row serves all rows", rows,
                exponent=exponents, bias=[5000, -5000, 77], bias_shift=0),
        _branch("exponent_not_of_bias", "the exponent also raises the bias", rows,
                exponent=exponents, bias=[32767, -32768, 1000], bias_shift=3),
        _branch("bias_shift_40", "the shifted bias is narrower than 56 bits", rows,
                exponent=exponents, bias=[32767, -32768, 3], bias_shift=40),
        _branch("exponent_widest", "the raised product is narrower than 57 bits",
                [[LEAST, MOST, LEAST], [MOST, 1, LEAST]], multiplier=[32767],
                exponent=np.array([9, 9], np.int8), bias=[-32768, 32767, 32767], bias_shift=40),
    ]  # fmt: skip
