"""Compiled twin of `int8ref.reference.embed`."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import ADDRESS, ITEM, PACKED, WIDE_POSITIONS, WIDTH, operands_at
from int8ref.kernels.gemm.packed_row import unpack_row
from int8ref.kernels.ir.arithmetic import shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.sinusoids import QUARTER, sinusoids
from int8ref.kernels.views import array, column, matrix, word, workspace
from int8ref.reference.embed import Embed
from int8ref.spec.pair_sums import SPAN

AT = operands_at(Embed)


@kernel
def _add_rows(code, token, factor, position, position_factor, row, finer):
    """Add the row of a token and the row of its position, and write both results.

    A factor of 0 leaves a row out.  A factor of -1 stands for the factors of the channels.
    """
    factors = array(word(code, AT.channel_multiplier + ADDRESS), (len(row),), np.int32)
    s = np.int32(word(code, AT.shift))
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    s_wide = np.int32(s - np.int32(word(code, AT.wide_bits)))
    half_wide = np.int32(np.int32(np.int32(1) << s_wide) >> np.int32(1))
    for i in range(len(row)):
        own = factors[i] if factor < np.int32(0) else factor
        total = np.int32(np.int32(token[i]) * own)
        total = np.int32(total + np.int32(np.int32(position[i]) * position_factor))
        data = shift_right(np.int32(total + half), s)
        row[i] = np.int8(min(max(data, np.int32(-127)), np.int32(127)))
        data = shift_right(np.int32(total + half_wide), s_wide)
        finer[i] = np.int16(min(max(data, np.int32(-32767)), np.int32(32767)))


@kernel
def step(frame, code):
    """Run an embed instruction.  The sum is exact in int32, because the Program proves its bound.

    For id -1, and for a model without positions, the kernel reads some valid row and multiplies it
    by 0.
    """
    ids = column(frame, code, AT.ids, np.int32)
    out, wide = matrix(frame, code, AT.out, np.int8), matrix(frame, code, AT.wide, np.int16)
    there = word(code, AT.positions + ITEM) != 0
    of_channels = word(code, AT.channel_multiplier + ADDRESS) != 0
    token_factor = np.int32(-1) if of_channels else np.int32(word(code, AT.multiplier))
    position_factor = np.int32(word(code, AT.position_multiplier) if there else 0)
    for r in range(len(ids)):
        token = _table_row(frame, code, max(np.int64(ids[r]), np.int64(0)))
        factor = token_factor if ids[r] >= np.int32(0) else np.int32(0)
        if word(code, WIDE_POSITIONS) != 0:
            position = _wide_position_row(frame, code, r)
            _add_rows(code, token, factor, position, position_factor, out[r], wide[r])
        else:
            short = _position_row(frame, code, r) if there else token
            _add_rows(code, token, factor, short, position_factor, out[r], wide[r])


@kernel
def _wide_position_row(frame, code, r):
    """The row of the position of row r in a table of 16 bits."""
    width, positions = word(code, AT.out + WIDTH), column(frame, code, AT.positions, np.int32)
    place = word(code, AT.position_table + ADDRESS) + np.int64(2) * np.int64(positions[r]) * width
    return array(place, (width,), np.int16)


@kernel
def _position_row(frame, code, r):
    """The row of the position of row r: a row of the table, or a row made from the wave.

    It must be called for the rows in order, because it reuses the wave's row of the previous row.
    """
    width, positions = word(code, AT.out + WIDTH), column(frame, code, AT.positions, np.int32)
    table = word(code, AT.position_table + ADDRESS)
    if table != 0:
        return array(table + np.int64(positions[r]) * width, (width,), np.int8)
    room = array(workspace(frame, code) + width + SPAN, (width,), np.int8)
    frequencies = array(word(code, AT.frequencies + ADDRESS), (width // np.int64(2),), np.int32)
    wave = array(word(code, AT.wave + ADDRESS), (QUARTER,), np.int8)
    if r == 0 or positions[r] != positions[r - 1]:  # in a decoder step all positions are equal
        sinusoids(positions[r], frequencies, wave, room)
    return room


@kernel
def _table_row(frame, code, number):
    """Row `number` of the table; if the table is a packed weight, an unpacked copy of the row."""
    width, place = word(code, AT.out + WIDTH), word(code, AT.table + ADDRESS)
    if word(code, PACKED) != 0:
        room = workspace(frame, code)
        unpack_row(place, width, number, room)
        return array(room, (width,), np.int8)
    return array(place + number * width, (width,), np.int8)
