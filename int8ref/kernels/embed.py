"""Compiled twin of `int8ref.reference.embed`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.arithmetic import shift_right
from int8ref.kernels.compile import kernel
from int8ref.kernels.views import array, column, matrix, word
from int8ref.machine.frame import ADDRESS, LENGTH, WIDTH, operands_at
from int8ref.reference.embed import Embed

AT = operands_at(Embed)
IDS, POSITIONS, TABLE, POSITION_TABLE = (
    AT[f] for f in ("ids", "positions", "table", "position_table")
)
MULTIPLIER, POSITION_MULTIPLIER, SHIFT, WIDE_BITS, OUT, WIDE = (
    AT[f] for f in ("multiplier", "position_multiplier", "shift", "wide_bits", "out", "wide")
)


@kernel
def embed(
    ids,
    positions,
    table,
    position_table,
    multiplier,
    position_multiplier,
    shift,
    wide_bits,
    out,
    wide,
):
    """Embed tokens: out int8 [rows, width].  The sum is exact in int32 (checked by the Program)."""
    token_factor = np.int32(multiplier)
    position_factor = np.int32(0 if position_table is None else position_multiplier)
    s = np.int32(shift)
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    s_wide = np.int32(s - np.int32(wide_bits))
    half_wide = np.int32(np.int32(np.int32(1) << s_wide) >> np.int32(1))
    width = out.shape[1]
    for r in range(len(ids)):
        row, finer = out[r], wide[r]
        # The zero vector reads row 0 with the factor 0; so does a position that there is not.
        token = table[max(ids[r], np.int32(0))]
        factor = token_factor if ids[r] >= np.int32(0) else np.int32(0)
        position = position_of(r, positions, position_table, token)
        for i in range(width):
            total = np.int32(np.int32(token[i]) * factor)
            total = np.int32(total + np.int32(np.int32(position[i]) * position_factor))
            data = shift_right(np.int32(total + half), s)
            row[i] = np.int8(min(max(data, np.int32(-127)), np.int32(127)))
            data = shift_right(np.int32(total + half_wide), s_wide)
            finer[i] = np.int16(min(max(data, np.int32(-32767)), np.int32(32767)))


@kernel
def position_of(r, positions, position_table, token):
    """The row of the table of positions; any row, such as `token`, where there is no table."""
    if position_table is None:
        return token
    return position_table[positions[r]]


@kernel
def step(frame, code):
    """Run an embed instruction."""
    if word(code, POSITION_TABLE + ADDRESS) == 0:
        _with_positions(frame, code, None, None)
    else:
        table = word(code, POSITION_TABLE + LENGTH), word(code, OUT + WIDTH)
        position_table = array(word(code, POSITION_TABLE + ADDRESS), table, np.int8)
        _with_positions(frame, code, column(frame, code, POSITIONS), position_table)


@kernel
def _with_positions(frame, code, positions, position_table):
    table = word(code, TABLE + LENGTH), word(code, OUT + WIDTH)
    embed(
        column(frame, code, IDS),
        positions,
        array(word(code, TABLE + ADDRESS), table, np.int8),
        position_table,
        word(code, MULTIPLIER),
        word(code, POSITION_MULTIPLIER),
        word(code, SHIFT),
        word(code, WIDE_BITS),
        matrix(frame, code, OUT, np.int8),
        matrix(frame, code, WIDE, np.int16),
    )
