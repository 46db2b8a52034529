"""Compiled twin of `int8ref.reference.embed`."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import ADDRESS, ITEM, PACKED, WIDTH, WORKSPACE, operands_at
from int8ref.kernels.gemm.layout import DEPTH
from int8ref.kernels.gemm.packed_row import unpack_row
from int8ref.kernels.ir.arithmetic import shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.sinusoids import QUARTER, sinusoids
from int8ref.kernels.views import array, column, matrix, word
from int8ref.reference.embed import Embed

AT = operands_at(Embed)
IDS, POSITIONS, TABLE, POSITION_TABLE, FREQUENCIES, WAVE = (
    AT[f] for f in ("ids", "positions", "table", "position_table", "frequencies", "wave")
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
    frequencies,
    wave,
    max_positions,
    multiplier,
    position_multiplier,
    shift,
    wide_bits,
    out,
    wide,
):
    """Embed tokens: out int8 [rows, width].  The sum is exact in int32 (checked by the Program)."""
    for r in range(len(ids)):
        token = table[max(ids[r], np.int32(0))]
        factor = np.int32(0 if positions is None else position_multiplier)
        if position_table is not None:
            position = position_table[positions[r]]
        elif wave is not None:
            position = out[r]  # each of its values is read before it is written
            sinusoids(positions[r], frequencies, wave, position)
        else:
            position = token
        _add_rows(ids[r], token, multiplier, position, factor, shift, wide_bits, out[r], wide[r])


@kernel
def _add_rows(
    number, token, multiplier, position, position_multiplier, shift, wide_bits, row, finer
):
    """The row of a token and that of its position, in both widths.

    The zero vector has another row, with the factor 0; so has, as its factor tells, a position that
    there is not.
    """
    factor = np.int32(multiplier if number >= np.int32(0) else 0)
    position_factor, s = np.int32(position_multiplier), np.int32(shift)
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    s_wide = np.int32(s - np.int32(wide_bits))
    half_wide = np.int32(np.int32(np.int32(1) << s_wide) >> np.int32(1))
    for i in range(len(row)):
        total = np.int32(np.int32(token[i]) * factor)
        total = np.int32(total + np.int32(np.int32(position[i]) * position_factor))
        data = shift_right(np.int32(total + half), s)
        row[i] = np.int8(min(max(data, np.int32(-127)), np.int32(127)))
        data = shift_right(np.int32(total + half_wide), s_wide)
        finer[i] = np.int16(min(max(data, np.int32(-32767)), np.int32(32767)))


@kernel
def step(frame, code):
    """Run an embed instruction."""
    ids = column(frame, code, IDS)
    out, wide = matrix(frame, code, OUT, np.int8), matrix(frame, code, WIDE, np.int16)
    there = word(code, POSITIONS + ITEM) != 0
    for r in range(len(ids)):
        token = _table_row(frame, code, max(np.int64(ids[r]), np.int64(0)))
        _add_rows(
            ids[r],
            token,
            word(code, MULTIPLIER),
            _position_row(frame, code, r) if there else token,
            word(code, POSITION_MULTIPLIER) if there else np.int64(0),
            word(code, SHIFT),
            word(code, WIDE_BITS),
            out[r],
            wide[r],
        )


@kernel
def _position_row(frame, code, r):
    """What is added for the position of a row, after that of the row before: of a table, or made of
    a wave."""
    width, positions = word(code, OUT + WIDTH), column(frame, code, POSITIONS)
    table = word(code, POSITION_TABLE + ADDRESS)
    if table != 0:
        return array(table + np.int64(positions[r]) * width, (width,), np.int8)
    room = array(word(frame, WORKSPACE) + width + DEPTH, (width,), np.int8)
    frequencies = array(word(code, FREQUENCIES + ADDRESS), (width // np.int64(2),), np.int32)
    wave = array(word(code, WAVE + ADDRESS), (QUARTER,), np.int8)
    if r == 0 or positions[r] != positions[r - 1]:  # else it is there: in a step all are alike
        sinusoids(positions[r], frequencies, wave, room)
    return room


@kernel
def _table_row(frame, code, number):
    """A row of the table; of one that is a packed weight, a copy."""
    width, place = word(code, OUT + WIDTH), word(code, TABLE + ADDRESS)
    if word(code, PACKED) != 0:
        room = word(frame, WORKSPACE)
        unpack_row(place, width, number, room)
        return array(room, (width,), np.int8)
    return array(place + number * width, (width,), np.int8)
