"""Corner cases of `embed`."""

from __future__ import annotations

from typing import Any

import numpy as np

from int8ref.corners.case import Array, Case, case, spread

TABLE = [[1, -1, 3, -3], [127, -127, -128, 5], [100, -100, 64, -64], [2, -2, 0, 7]]
MOST = (2**31 - 1 - 2**29) // 128
"""The largest multiplier beside a shift of 30."""
ROWS = [[10, -10, 20, -20], [127, -128, 1, -1], [-5, 5, -7, 7]]


def wave() -> Array:
    """Return a quarter wave whose entries differ: the numbers 0 to 127, each twice."""
    return (np.arange(256) // 2).astype(np.int8)


def cases() -> list[Case]:
    """Return the cases."""
    return [*_tokens(), *_results(), *_tables(), *_waves()]


def _embed(name: str, reason: str, ids: list[int], **fields: Any) -> Case:
    """Return a case; the table `TABLE` with a factor of 1 is the default."""
    usual = {"table": TABLE, "multiplier": 16, "shift": 4, "wide_bits": 2}
    return case("embed", name, reason, ids=ids, **usual | fields)


def _tokens() -> list[Case]:
    return [
        _embed("start", "the id -1 is the last row of the table", [-1, 3, -1, 0]),
        _embed("start_has_position", "the id -1 has no position", [-1, 2, -1], positions=[0, 1, 2],
               position_table=ROWS, position_multiplier=48),
        _embed("last_id", "the last row is out of range", [3, 0, 3], table=TABLE),
        _embed("many_ids", "an id has 8 bits", [255, 256, 299, 0],
               table=spread("int8", (300, 2), -128, 127)),
        _embed("channels", "the multiplier of the first channel serves all channels", [0, 1, 2, -1],
               multiplier=0, channel_multiplier=[16, 1, 300, 0]),
        _embed("channels_most", "a multiplier of a channel is narrower than 24 bits", [1, 2],
               multiplier=0, channel_multiplier=[MOST, MOST - 5, 7, MOST], shift=30,
               wide_bits=15),
        _embed("zero_multiplier", "a multiplier of 0", [0, 1], multiplier=0),
        _embed("multiplier_most", "a multiplier is narrower than 24 bits", [0, 1, 2],
               multiplier=MOST, shift=30, wide_bits=15),
    ]  # fmt: skip


def _results() -> list[Case]:
    odd = [[1, -1, 3, -3], [5, -5, 7, -7]]
    return [
        _embed("ties", "ties of the 8-bit result round another way than up", [0, 1], table=odd,
               multiplier=4, shift=3, wide_bits=1),
        _embed("ties_wide", "ties of the wide result round another way than up", [0, 1], table=odd,
               multiplier=1, shift=3, wide_bits=2),
        _embed("wide_exact", "the wide result is made of the 8-bit result", [0, 1, 2],
               multiplier=3, shift=4, wide_bits=4),
        _embed("saturate_8_bits", "the 8-bit result wraps, or its lower end is -128", [0, 1, 2],
               multiplier=32, shift=4, wide_bits=1),
        _embed("saturate_near", "the clamp of the 8-bit result is one off", [0, 1],
               table=[[127, -127, -128, 126], [-128, 127, -126, -127]], multiplier=16, shift=4,
               wide_bits=3),
        _embed("saturate_16_bits", "the wide result wraps, or its lower end is -32768", [1, 2],
               multiplier=1 << 15, shift=15, wide_bits=15),
        _embed("shift_1", "the least shift", [0, 1, 2], multiplier=1, shift=1, wide_bits=1),
        _embed("shift_30", "the rounding constant of the largest shift is lost", [1, 2],
               multiplier=1 << 23, shift=30, wide_bits=15),
        _embed("sum_most", "the sum is narrower than 32 bits", [1, 2], positions=[1, 1],
               position_table=ROWS, multiplier=1 << 22, position_multiplier=(1 << 22) - 9,
               shift=24, wide_bits=7),
    ]  # fmt: skip


def _tables() -> list[Case]:
    wide = np.array([[1000, -1000, 1, -1], [32767, -32768, 5, -5]], np.int16)
    return [
        _embed("positions", "the number of the row is the position", [0, 1, 2, 3],
               positions=[2, 2, 0, 1], position_table=ROWS, position_multiplier=16),
        _embed("last_position", "the last position is out of range", [0, 0],
               positions=[69, 64], position_table=spread("int8", (70, 4), -128, 127),
               position_multiplier=16),
        _embed("table_of_16_bits", "positions of 16 bits are read as 8 bits", [0, 1],
               positions=[0, 1], position_table=wide, position_multiplier=7, shift=12,
               wide_bits=8),
        _embed("rounded_once", "the token and its position are rounded by themselves", [0, 1],
               positions=[0, 1], position_table=[[1, -1, 1, 3], [1, 1, -1, -1]], multiplier=3,
               position_multiplier=3, shift=2, wide_bits=1),
        _embed("zero_position_multiplier", "a position multiplier of 0", [0, 1], positions=[0, 1],
               position_table=ROWS, position_multiplier=0),
        _embed("position_multiplier_most", "a position multiplier is narrower than 30 bits",
               [-1, -1], table=[[0, 0]], positions=[0, 1], position_table=[[1, -1], [0, 1]],
               position_multiplier=1 << 30, shift=30, wide_bits=15),
    ]  # fmt: skip


def _waves() -> list[Case]:
    quarters = [1 << 22, 255 << 22, 256 << 22, 257 << 22, 511 << 22]
    fields: dict[str, Any] = {"wave": wave(), "multiplier": 16, "position_multiplier": 16}
    eight = np.array(quarters[:4], np.int64)
    return [
        _embed("wave", "sines and cosines alternate, or a quarter has the other sign",
               [-1] * 8, table=spread("int8", (2, 8), -3, 3), positions=list(range(8)),
               frequencies=eight.astype(np.int32), max_positions=8, **fields),
        _embed("wave_turns", "the phase does not wrap at 2^32", [0, 1, 0, 1, 0],
               table=spread("int8", (2, 4), -3, 3), positions=[0, 1, 999, 524287, 1048575],
               frequencies=[2**31 - 1, 1234567], max_positions=1 << 20, **fields),
        _embed("wave_slow", "a phase is rounded to the nearest", [0] * 4,
               table=spread("int8", (1, 4), -3, 3), positions=[0, 1, 2, 3],
               frequencies=[(1 << 22) - 1, 1 << 21], max_positions=4, **fields),
        _embed("wave_zero", "a frequency of 0", [0], table=[[1, 2]], positions=[0],
               frequencies=[0], max_positions=1, **fields),
        _embed("wave_negative", "an entry of -127", [0, 0, 0], table=[[1, 2]],
               positions=[0, 300, 700], frequencies=[1 << 22], max_positions=701,
               **fields | {"wave": spread("int8", (256,), -127, 127)}),
    ]  # fmt: skip
