"""Corner cases that `layer_norm_l1`, `layer_norm_l2` and `rms_norm` share."""

from __future__ import annotations

from typing import Any

import numpy as np

from int8ref.corners.case import Case, case, full, spread

SMALL = [1, -1, 3, -3]
"""A row of mean 0.  n * x is +-4 and +-12, the mean of the magnitudes is 8, and n * sum(x^2) is
80."""
TIES = [4, -4, 12, -12, 1, -1, 3, -3, 5, -5, 2, -2, 0, 20, -20, 7]


def norm(op: str, name: str, reason: str, x: Any, **fields: Any) -> Case:
    """Return a case; a gain of 2^4, a bias of 0 and a shift of 7 are the defaults."""
    n = np.shape(x)[1]
    usual = {"gain": full("int16", (n,), 16), "bias": full("int16", (n,), 0), "bias_shift": 0,
             "shift": 7, "epsilon": 0, "wide_bits": 4}  # fmt: skip
    return case(op, name, reason, x=x, **usual | fields)


def shared_cases(op: str, root: bool) -> list[Case]:
    """Return the cases of one norm.  `root`: the deviation is a root of squares."""
    return [*_results(op), *_deviations(op, root), *_rows(op), *_widest(op, root)]


def epsilon_for(root: bool, deviation: int) -> int:
    """The epsilon that gives the row `SMALL` this deviation."""
    return deviation * deviation - 80 if root else deviation - 8


def _results(op: str) -> list[Case]:
    """A row of zeros shows the bias alone."""
    zeros = [[0] * 16]
    ends = [127, 128, -127, -128, 126, -126, 255, 256, -255, -256, 32767, -32768, 1, -1, 90, -90]
    far = [32767, -32768, 16384, -16384, 2, -2, 1, -1, 100, -100, 3, -3, 4, -4, 0, 5]
    return [
        norm(op, "ties", "ties round another way than up", zeros, bias=TIES, shift=3, wide_bits=2),
        norm(op, "saturate_8_bits", "the 8-bit result wraps, or its lower end is -128", zeros,
             bias=ends, bias_shift=4, shift=4, wide_bits=1),
        norm(op, "saturate_16_bits", "the 16-bit result wraps, or its lower end is -32768", zeros,
             bias=far, bias_shift=15, shift=16, wide_bits=15),
        norm(op, "most_wide_bits", "the wide result is made of the 8-bit result", zeros,
             bias=ends, bias_shift=9, shift=15, wide_bits=15),
        norm(op, "bias_shift_15", "the shifted bias is narrower than 31 bits", zeros,
             bias=far, bias_shift=15, shift=30, wide_bits=13),
        norm(op, "shift_1", "the least shift", [[0] * 16, [9, -9] * 8], bias=TIES, shift=1,
             wide_bits=1),
        norm(op, "shift_30", "the rounding constant of the largest shift is lost",
             [[0] * 4], gain=[0] * 4, bias=[16384, -16384, 32767, -32768], bias_shift=15, shift=30,
             wide_bits=1),
        norm(op, "without_wide", "wide_bits is not 0 without a wide result", [[5, -5, 9]],
             wide_bits=0, wide=None),
    ]  # fmt: skip


def _deviations(op: str, root: bool) -> list[Case]:
    at = {bits: epsilon_for(root, 2**bits) for bits in (12, 13)}
    gains = {"gain": [1, 1, 1, 1], "bias": [0, 0, 0, 0]}
    return [
        norm(op, "ties_of_t", "ties of the normalised value round another way than up",
             [SMALL, SMALL[::-1]], epsilon=at[13], gain=[2] * 4, shift=1, wide_bits=1),
        norm(op, "ties_of_y", "ties after the gain round another way than up",
             [SMALL, SMALL[::-1]], epsilon=at[12], shift=1, wide_bits=1, **gains),
        norm(op, "constant", "a row of equal numbers divides by 0",
             [[0] * 3, [1] * 3, [-1] * 3, [32767] * 3, [-32768] * 3], bias=[64, -64, 100]),
        norm(op, "epsilon_1", "epsilon is left out",
             [[0] * 3, [1] * 3, [1, 0, 0], [1, -1, 0], [30, 10, -10]], epsilon=1, shift=10),
        norm(op, "epsilon_small", "epsilon is in other units",
             [[0] * 3, [1] * 3, [1, 0, 0], [1, -1, 0], [30, 10, -10]], epsilon=77, shift=10),
        norm(op, "epsilon_most", "the deviation with the largest epsilon is narrower than 32 bits",
             [[32767, -32768, 32767, -32768], [1, 2, 3, 4]], epsilon=2**60 if root else 2**30,
             gain=[32767, -32768, 9999, -5], shift=1, wide_bits=1),
        norm(op, "deviation_rounds", "the deviation is rounded to the nearest, or the other way",
             [[1, 0, 0], [2, 0, 0], [3, 0, 0], [1, 1, 0], [5, 2, 0], [7, -3, 1]], shift=10,
             wide_bits=9),
        norm(op, "squares", "a root of a square, or of its neighbour, is off by one",
             [[x, 0] for x in (1, 2, 3, 4, 7, 8, 181, 182, 255, 256, 4095, 32767)], shift=12,
             wide_bits=11),
        norm(op, "powers_of_two", "the reciprocal of a power of two is off by a bit",
             [[2**bit, -(2**bit), 2**bit, -(2**bit)] for bit in range(15)], shift=9, wide_bits=8),
    ]  # fmt: skip


def _rows(op: str) -> list[Case]:
    far = [32767, -32768, 32767, -32768, 0]
    return [
        norm(op, "one_column", "a row of one column", [[5], [-5], [0], [-32768], [32767]],
             gain=[300], bias=[7], shift=9),
        norm(op, "two_columns", "numbers at both ends", [[-32768, 32767], [32767, -32768],
             [-32768, -32767], [32767, 32766]], gain=[300, -300]),
        norm(op, "rows", "the sums of the first row serve all rows",
             [[1, 2, 3, 4, 5], far, [-1, -2, -3, -4, -5], [500, 400, 300, 200, 100], [7] * 5],
             gain=[100, -100, 50, -50, 1], bias=[1, -1, 3, -3, 9], bias_shift=3),
        norm(op, "gains", "the gain of the first channel serves all channels",
             [[100, -50, 20, -70, 3]], gain=[1, -1, 500, -500, 32], bias=[500, -500, 5, -5, 0],
             bias_shift=1, shift=6),
        norm(op, "gain_least", "a gain of -32768 is read as its neighbour", [[3, -1, -2]],
             gain=[-32768, 32767, -32768], shift=20, wide_bits=15),
        *(norm(op, f"width_{n}", "columns beside a whole block are lost",
               spread("int16", (2, n), -32768, 32767, n), gain=spread("int16", (n,), -300, 300),
               bias=spread("int16", (n,), -99, 99), bias_shift=2, shift=9)
          for n in (3, 17, 33, 65)),
    ]  # fmt: skip


def _widest(op: str, root: bool) -> list[Case]:
    """The widest rows have the widest sums, and one number alone has the widest t."""
    n = 8192
    alone = full("int16", (1, n), 0 if op == "rms_norm" else 32767)
    alone[0, n - 1] = 1 if op == "rms_norm" else -32768
    signs = np.where(np.arange(n) % 2 == 0, -32768, 32767).astype(np.int16)[None]
    fields: dict[str, Any] = {"gain": full("int16", (n,), 9000 if root else 500), "wide": None,
                              "wide_bits": 0}  # fmt: skip
    rows = np.concatenate([alone, full("int16", (1, n), -32768), signs])
    few = full("int16", (3, 1025), -32768)
    few[1, ::2] = 32767
    few[2, :-1] = 0
    return [
        norm(op, "widest", "c, or a sum, or a sum of squares, is too narrow", rows, shift=20,
             **fields),
        norm(op, "width_1025", "a sum over more than 1024 columns wraps", few, shift=16,
             gain=full("int16", (1025,), 900)),
    ]  # fmt: skip
