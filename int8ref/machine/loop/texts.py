"""Texts that enter and leave a running batch, for searches with one row for each text.

A text waits until a history slot is free.  Then its prefix is read in blocks, beside the steps of
the texts that are already in the batch.  Therefore the rows of a step are the live rows, one for
each text, and behind them some steps of prefixes.  When a text ends, its slot is free again.

The number of texts is read at every step.  Therefore another thread can add texts while the loop
runs (`engines.running`).
"""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import CODE_BYTES
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array, frame_at
from int8ref.machine.loop.interpreter import run
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import (
    call_at,
    ends,
    ids_of,
    place_row,
    positions_of,
    sentence_of,
    slots_of,
    table,
    vector,
)
from int8ref.machine.loop.steps import advance, encode, move_row, sentences_of


@part
def open_texts(frame: int, call: int) -> int:
    """Encode.  Returns the number of live rows: of a decoder that runs step by step, all texts have
    a row at once."""
    sentences: int = encode(frame, call)
    live = 0
    if call_at(call).block == 0:
        for live in range(sentences):
            place_row(frame, call, live, live, live, 0)
        live = sentences
        call_at(call).waiting = sentences
    return live


@kernel
def waits(frame, call):
    """Whether a text waits, or is not read to the end of its prefix."""
    return call_at(call).waiting < sentences_of(frame)


@part
def advance_texts(frame: int, call: int, live: int) -> int:
    """Let texts enter, and run the decoder without its last instruction.

    Returns the number of live rows.  The steps of prefixes run only the instructions on which
    histories depend.
    """
    live, rows = _enter(frame, call, live)
    shared = call_at(call).shared_rows
    advance(frame, call, rows, shared)
    frame_at(frame).target_rows = live
    if live > 0:
        rest = call_at(call).decoder_rows - 1 - shared
        run(call_at(call).decoder + shared * CODE_BYTES, rest, frame)
    return live


@kernel
def _enter(frame, call, live):
    """Place the next steps of prefixes behind the live rows, with texts that are read to the end.

    Returns the number of live rows, and of all rows.
    """
    c = call_at(call)
    sentences = sentences_of(frame)
    lengths, slot_of = vector(c.given_lengths, sentences), vector(c.slot_of, sentences)
    index, position, left = c.waiting, c.read, c.block
    while c.waiting < sentences and _takes(call, lengths[c.waiting], left):
        text = c.waiting
        if c.read == 0:
            c.free_count -= 1
            slot_of[text] = vector(c.free, c.free_count + 1)[c.free_count]
        steps = min(np.int64(lengths[text]) - c.read, left)
        c.read += steps
        left -= steps
        if c.read == lengths[text]:
            place_row(frame, call, live, slot_of[text], text, c.read)
            live += 1
            c.waiting, c.read = text + 1, 0
    rows = live
    for _ in range(c.block - left):
        while position == lengths[index]:
            index, position = index + 1, 0
        place_row(frame, call, rows, slot_of[index], index, position)
        rows += 1
        position += 1
    return live, rows


@kernel
def _takes(call, length, left):
    """Whether the next text can go on: it has a slot or gets one, and `left` rows for its
    prefix."""
    c = call_at(call)
    return (c.read > 0 or c.free_count > 0) and (left > 0 or length == 0)


@part
def follow(frame: int, call: int, rows: int) -> int:
    """Finish a step: process the ids of the live rows.  Returns the number of rows that continue.

    During a prefix, the next token of the prefix replaces the id.  After it, an id is stored in
    `out`, unless it ends the sentence.  Other threads may read `out` and `lengths`, and `ended`
    says that they are final.
    """
    sentences: int = sentences_of(frame)
    c = call_at(call)
    limits, lengths = vector(c.limits, sentences), vector(c.lengths, sentences)
    given, given_lengths = table(call, c.given, sentences), vector(c.given_lengths, sentences)
    out = table(call, c.out, sentences)
    ids, sentence = ids_of(frame, call), sentence_of(frame, call)
    positions, slots = positions_of(frame, call), slots_of(frame)
    going = 0
    for row in range(rows):
        token, index, step = ids[row], sentence[row], positions[row]
        goes_on = step < given_lengths[index]
        if goes_on:
            ids[row] = given[index, step]
        else:
            at = step - given_lengths[index]
            lengths[index] = np.int32(at)
            if not ends(call, token):
                out[index, at] = token
                lengths[index] = np.int32(at + 1)
                goes_on = lengths[index] < limits[index]
        if goes_on:
            move_row(frame, call, row, going, step + 1)
            going += 1
        else:
            array(c.free, (c.free_count + 1,), np.int32)[c.free_count] = slots[row]
            c.free_count += 1
            vector(c.ended, sentences)[index] = np.int32(1)
    return going
