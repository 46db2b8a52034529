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
    token_factor, position_factor = np.int32(multiplier), np.int32(position_multiplier)
    s = np.int32(shift)
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    s_wide = np.int32(s - np.int32(wide_bits))
    half_wide = np.int32(np.int32(np.int32(1) << s_wide) >> np.int32(1))
    width = out.shape[1]
    for r in range(len(ids)):
        row, finer, position = out[r], wide[r], position_table[positions[r]]
        # The zero vector reads row 0 with the factor 0.
        token = table[max(ids[r], np.int32(0))]
        factor = token_factor if ids[r] >= np.int32(0) else np.int32(0)
        for i in range(width):
            total = np.int32(np.int32(token[i]) * factor)
            total = np.int32(total + np.int32(np.int32(position[i]) * position_factor))
            data = shift_right(np.int32(total + half), s)
            row[i] = np.int8(min(max(data, np.int32(-127)), np.int32(127)))
            data = shift_right(np.int32(total + half_wide), s_wide)
            finer[i] = np.int16(min(max(data, np.int32(-32767)), np.int32(32767)))


@kernel
def step(frame, code):
    """Run an embed instruction."""
    width = word(code, OUT + WIDTH)
    tokens, positions = word(code, TABLE + LENGTH), word(code, POSITION_TABLE + LENGTH)
    embed(
        column(frame, code, IDS),
        column(frame, code, POSITIONS),
        array(word(code, TABLE + ADDRESS), (tokens, width), np.int8),
        array(word(code, POSITION_TABLE + ADDRESS), (positions, width), np.int8),
        word(code, MULTIPLIER),
        word(code, POSITION_MULTIPLIER),
        word(code, SHIFT),
        word(code, WIDE_BITS),
        matrix(frame, code, OUT, np.int8),
        matrix(frame, code, WIDE, np.int16),
    )
