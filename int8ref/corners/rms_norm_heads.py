"""Corner cases of `rms_norm_heads`."""

from __future__ import annotations

from typing import Any

import numpy as np

from int8ref.corners.case import Case, case, full, spread
from int8ref.corners.norms import SMALL, epsilon_for


def cases() -> list[Case]:
    """Return the cases."""
    return [*_values(), *_columns()]


def _heads(name: str, reason: str, x: Any, **fields: Any) -> Case:
    """Return a case; one head over all columns, and a gain of 2^9, are the defaults."""
    width = np.shape(x)[1]
    count = fields.get("heads", 1) * fields.get("head_width", width)
    usual = {"gain": full("int16", (count,), 512), "column": 0, "heads": 1, "head_width": width,
             "shift": 10, "epsilon": 0}  # fmt: skip
    return case("rms_norm_heads", name, reason, x=x, **usual | fields)


def _values() -> list[Case]:
    rows = [SMALL, SMALL[::-1]]
    n = 8192
    signs = np.where(np.arange(n) % 2 == 0, -32768, 32767).astype(np.int16)[None]
    alone = full("int16", (2, 300), 0)
    alone[0, 0], alone[1, 299] = 32767, -7
    return [
        _heads("alone", "the normalised value of one number among zeros is too narrow", alone,
               gain=full("int16", (300,), 32767), shift=15),
        _heads("ties_of_t", "ties of the normalised value round another way than up", rows,
               gain=[2] * 4, shift=1, epsilon=epsilon_for(True, 2**13)),
        _heads("ties", "ties after the gain round another way than up", rows, gain=[1] * 4,
               shift=1, epsilon=epsilon_for(True, 2**12)),
        _heads("zeros", "a head of zeros divides by 0", [[0, 0, 5, -5], [0, 0, 0, 0]], heads=2,
               head_width=2),
        _heads("saturate", "a result wraps, or the lower end is -32768",
               [[5], [-5], [32767], [-32768]], gain=[32767], shift=1),
        _heads("saturate_near", "the clamp is one off", [[5], [-5], [7], [-7]], gain=[32767],
               shift=10),
        _heads("gain_least", "a gain of -32768 is read as its neighbour", [[3, -1, -2]],
               gain=[-32768, 32767, -32768], shift=15),
        _heads("epsilon_1", "epsilon is left out", [[1, 0, 0], [0, 0, 0], [1, 1, 1]], epsilon=1),
        _heads("epsilon_small", "epsilon is in other units", [[1, 0, 0], [9, 0, 3]], epsilon=77),
        _heads("epsilon_most", "the deviation with the largest epsilon is too narrow",
               [[32767, -32768, 1]], epsilon=2**60, gain=[32767, -32768, 1], shift=1),
        _heads("shift_30", "the rounding constant of the largest shift is lost", [[5, -5, 9]],
               gain=[32767, 32767, -32768], shift=30),
        _heads("widest", "a sum of squares is too narrow", signs, gain=full("int16", (n,), 9000),
               shift=14),
    ]  # fmt: skip


def _columns() -> list[Case]:
    x = spread("int16", (2, 11), -32768, 32767)
    return [
        _heads("heads", "all heads have one deviation", [[300, 400, 3, 4], [1, 1, 9, -9]], heads=2,
               head_width=2),
        _heads("column", "the columns beside the heads change, or the heads begin at column 0", x,
               column=2, heads=2, head_width=3),
        _heads("gains", "the gain of the first head serves all heads", x, column=1, heads=3,
               head_width=3, gain=spread("int16", (9,), -32768, 32767), shift=15),
        _heads("last_columns", "the last columns belong to no head", x, column=5, heads=2,
               head_width=3),
        _heads("most_heads", "the most heads", spread("int16", (2, 512), -32768, 32767),
               heads=512, head_width=1, gain=spread("int16", (512,), -32768, 32767), shift=15),
    ]  # fmt: skip
