"""Corner cases of `pool`."""

from __future__ import annotations

from typing import Any

import numpy as np

from int8ref.corners.case import Case, case, full, spread


def _pool(name: str, reason: str, **fields: Any) -> Case:
    usual = {"rows": 0, "multiplier": [2], "shift": [1], "limit": 32767}
    return case("pool", name, reason, domain="source", **usual | fields)


def cases() -> list[Case]:
    """Return the cases."""
    x = np.array(
        [[1, 2], [2, 3], [-1, -2], [-2, -3], [7, 0], [100, -100], [5, 5], [6, 8]], np.int16
    )
    offsets = [0, 2, 4, 5, 8]
    least = full("int16", (1024, 2), -32768)
    ends = np.array([[32767, -32768], [32767, -32768], [255, -257], [254, -256]], np.int16)
    return [
        _pool("ties", "ties of a mean round another way than up", x=x, offsets=offsets),
        _pool("thirds", "a mean is a product with a reciprocal, which is rounded",
              x=np.array([[1], [0], [0], [2], [0], [0], [-1], [0], [0]], np.int16),
              offsets=[0, 3, 6, 9], multiplier=[3], shift=[1]),
        _pool("rounded_once", "the mean is rounded before the multiplication",
              x=np.array([[1], [0], [-1], [0], [3], [4]], np.int16), offsets=[0, 2, 4, 6],
              multiplier=[100], shift=[2]),
        _pool("first", "the first row of the batch is taken", x=x, offsets=offsets, rows=1),
        _pool("last", "the row after the sentence is taken", x=x, offsets=offsets, rows=2),
        _pool("first_scaled", "the number of rows divides the first row", x=x, offsets=offsets,
              rows=1, multiplier=[3], shift=[3]),
        _pool("last_scaled", "the number of rows divides the last row", x=x, offsets=offsets,
              rows=2, multiplier=[3], shift=[3]),
        _pool("one_row", "sentences of one row", x=x, offsets=list(range(9))),
        _pool("most_rows", "the sum of the most rows is narrower than 26 bits", x=least,
              offsets=[0, 1024], multiplier=[32767], shift=[16]),
        _pool("of_8_bits", "rows of 8 bits are read as 16 bits, or as unsigned",
              x=np.array([[-128, 127], [-128, 127], [-127, 1]], np.int8), offsets=[0, 2, 3]),
        _pool("saturate_8_bits", "a result of 8 bits wraps, or its lower end is -128",
              x=ends, offsets=[0, 2, 3, 4], multiplier=[1], limit=127),
        _pool("limit_128", "a result above 127 has 8 bits", x=ends, offsets=[0, 2, 3, 4],
              multiplier=[1], limit=128),
        _pool("saturate_16_bits", "a result of 16 bits wraps, or its lower end is -32768",
              x=ends, offsets=[0, 2, 3, 4], multiplier=[3]),
        _pool("limit_1", "the smallest limit", x=x, offsets=offsets, limit=1),
        _pool("shift_40", "the denominator is narrower than 51 bits", x=least,
              offsets=[0, 1, 1024], multiplier=[32767], shift=[40]),
        _pool("shift_20", "the shift is taken modulo 16", x=least[:9], offsets=[0, 1, 9],
              multiplier=[32767], shift=[20]),
        _pool("zero_multiplier", "a multiplier of 0", x=x, offsets=offsets, multiplier=[0]),
        _pool("of_channels", "the first multiplier serves all channels",
              x=spread("int16", (5, 3), -32768, 32767), offsets=[0, 3, 5],
              multiplier=[1, 300, 32767], shift=[14]),
    ]  # fmt: skip
