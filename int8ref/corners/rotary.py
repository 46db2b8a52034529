"""Corner cases of `rotary`."""

from __future__ import annotations

from typing import Any

import numpy as np

from int8ref.corners.case import Case, case, spread

ONE = 1 << 14
COSINE = [[ONE, ONE], [0, -ONE], [11585, 8192], [-5000, 16000]]
SINE = [[0, 0], [ONE, 0], [11585, -14189], [15603, -3528]]


def _rotary(name: str, reason: str, x: Any, **fields: Any) -> Case:
    """Return a case; one head of two pairs, and a factor of 1, are the defaults."""
    usual = {"positions": list(range(len(x))), "cosine": COSINE, "sine": SINE, "heads": 1,
             "head_width": 4, "pairs": 2, "multiplier": [1], "shift": [14]}  # fmt: skip
    return case("rotary", name, reason, x=x, **usual | fields)


def cases() -> list[Case]:
    """Return the cases."""
    x = [[100, -50, 30, 7]] * 4
    wide = spread("int16", (4, 13), -120, 120)
    ends = [[-32768, 32767, -32768, 32767], [32767, -32768, -32768, -32768]] * 2
    return [
        _rotary("angles", "a sine has the other sign, or a and b are exchanged", x),
        _rotary("positions", "the number of the row is the position", x, positions=[3, 3, 0, 2]),
        _rotary("last_position", "the last angle is out of range", [[100, -50, 30, 7]] * 65,
                cosine=spread("int16", (65, 2), -ONE, ONE),
                sine=spread("int16", (65, 2), -ONE, ONE, 9), positions=list(range(64, -1, -1))),
        _rotary("ends", "a sum of two products is narrower than 32 bits", ends, multiplier=[1],
                shift=[23]),
        _rotary("wide_products", "the product with the multiplier is narrower than 46 bits", ends,
                multiplier=[32767], shift=[38]),
        _rotary("saturate", "a result wraps, or the lower end is -128", ends, shift=[1],
                multiplier=[32767]),
        _rotary("saturate_near", "the clamp is one off",
                [[255, -255, 254, -256]] * 4, shift=[15]),
        _rotary("ties", "ties round another way than up", [[1, 3, -1, -3]] * 4,
                positions=[0, 1, 0, 1], shift=[15]),
        _rotary("shift_62", "the rounding constant of the largest shift is lost", ends,
                multiplier=[32767], shift=[62]),
        _rotary("zero_multiplier", "a multiplier of 0", ends, multiplier=[0]),
        _rotary("heads", "all heads have the columns of the first head", wide, heads=2),
        _rotary("rest", "columns beside the heads and beside the pairs lose their scale", wide,
                heads=2, head_width=5, pairs=1, cosine=[row[:1] for row in COSINE],
                sine=[row[:1] for row in SINE]),
        _rotary("rest_ties", "columns that are not rotated are multiplied by less than 2^14",
                [[5, 1, 7, 3, -1, -3]] * 2, pairs=1, positions=[0, 0], shift=[15],
                cosine=[[ONE]], sine=[[0]]),
        _rotary("halves", "the pairs are neighbours instead of halves", wide, heads=1,
                head_width=8, pairs=4, cosine=spread("int16", (4, 4), -ONE, ONE),
                sine=spread("int16", (4, 4), -ONE, ONE, 9)),
        _rotary("of_channels", "the first multiplier serves all channels", x,
                multiplier=[1, 100, 9, 32767], shift=[16]),
        _rotary("one_pair", "the smallest head", [[5, -7], [100, 99], [-128, 127], [1, 1]],
                head_width=2, pairs=1, cosine=[row[:1] for row in COSINE],
                sine=[row[:1] for row in SINE]),
        _rotary("minus_one", "a sine or a cosine of -1", np.array(ends, np.int16),
                cosine=[[-ONE, -ONE]] * 4, sine=[[-ONE, ONE]] * 4, shift=[23]),
        _rotary("most_heads", "the most heads", spread("int16", (1, 1024), -120, 120),
                heads=512, head_width=2, pairs=1, positions=[2],
                cosine=[row[:1] for row in COSINE], sine=[row[:1] for row in SINE]),
    ]  # fmt: skip
