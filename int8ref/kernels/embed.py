"""Compiled twin of `int8ref.reference.embed`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.arithmetic import shift_right
from int8ref.kernels.compile import kernel
from int8ref.kernels.gemm.packed_row import unpack_row
from int8ref.kernels.views import array, column, matrix, word
from int8ref.machine.frame import ADDRESS, LENGTH, PACKED, WIDTH, WORKSPACE, operands_at
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
    for r in range(len(ids)):
        token = table[max(ids[r], np.int32(0))]
        position = position_of(r, positions, position_table, token)
        _add_rows(
            ids[r],
            token,
            multiplier,
            position,
            np.int32(0 if position_table is None else position_multiplier),
            shift,
            wide_bits,
            out[r],
            wide[r],
        )


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
    ids = column(frame, code, IDS)
    out, wide = matrix(frame, code, OUT, np.int8), matrix(frame, code, WIDE, np.int16)
    for r in range(len(ids)):
        token = _table_row(frame, code, max(np.int64(ids[r]), np.int64(0)))
        _add_rows(
            ids[r],
            token,
            word(code, MULTIPLIER),
            position_of(r, positions, position_table, token),
            np.int32(0 if position_table is None else word(code, POSITION_MULTIPLIER)),
            word(code, SHIFT),
            word(code, WIDE_BITS),
            out[r],
            wide[r],
        )


@kernel
def _table_row(frame, code, number):
    """A row of the table; of one that is a packed weight, a copy."""
    width, place = word(code, OUT + WIDTH), word(code, TABLE + ADDRESS)
    if word(code, PACKED) != 0:
        room = word(frame, WORKSPACE)
        unpack_row(place, width, number, room)
        return array(room, (width,), np.int8)
    return array(place + number * width, (width,), np.int8)
