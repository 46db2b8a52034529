"""Forced decoding in native code."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.log_softmax import cap_logits, largest, log_probability, normalizer
from int8ref.kernels.views import array
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import (
    call_at,
    ids_of,
    place_row,
    positions_of,
    sentence_of,
    table,
    vector,
)
from int8ref.machine.loop.steps import (
    HEAD_ROWS,
    advance_to_head,
    begin,
    first_position,
    head_logits,
    head_width,
    move_row,
)


@part
def forced(frame: int, call: int) -> None:
    """Twin of `search.forced.log_probabilities`: the log-probability of every given token."""
    sentences = begin(frame, call)
    if call_at(call).block != 0:
        _in_blocks(frame, call, sentences)
    else:
        _step_by_step(frame, call, sentences)


@kernel
def _in_blocks(frame, call, sentences):
    """Run all steps in blocks of rows."""
    block, lengths = call_at(call).block, vector(call_at(call).lengths, sentences)
    count = 0
    for index in range(sentences):
        for position in range(first_position(call, index), lengths[index]):
            place_row(frame, call, count, index, index, position)
            count += 1
            if count == block:
                _score_rows(frame, call, sentences, count)
                count = 0
    _score_rows(frame, call, sentences, count)


@kernel
def _step_by_step(frame, call, sentences):
    """Run the steps one by one, each for all sentences that are so long."""
    lengths, sentence = vector(call_at(call).lengths, sentences), sentence_of(frame, call)
    position = 0
    rows = sentences
    while rows > 0:
        _score_rows(frame, call, sentences, rows)
        position += 1
        going = 0
        for row in range(rows):
            if position < lengths[sentence[row]]:
                move_row(frame, call, row, going, position)
                going += 1
        rows = going


@part
def _score_rows(frame: int, call: int, sentences: int, rows: int) -> None:
    """Write the log-probabilities of the next tokens of the rows."""
    if rows > 0:
        advance_to_head(frame, call, rows)
        for first in range(0, rows, HEAD_ROWS):
            _score(frame, call, sentences, first, min(HEAD_ROWS, rows - first))


@kernel
def _score(frame, call, sentences, first, count):
    """Write the log-probabilities of the next tokens of a few rows; each token becomes the id of
    its row."""
    c = call_at(call)
    given, out = table(call, c.given, sentences), table(call, c.out, sentences)
    ids, sentence = ids_of(frame, call), sentence_of(frame, call)
    positions = positions_of(frame, call)
    width = head_width(call)
    logits = array(head_logits(frame, call, first, count), (count, width), np.int32)
    for r in range(count):
        row, index = logits[r], sentence[first + r]
        length = positions[first + r]
        token = given[index, length]
        cap_logits(row, c.cap_multiplier, c.cap_shift)
        top = largest(row)
        norm = normalizer(row, top, c.multiplier, c.shift)
        out[index, length] = log_probability(row[token], top, norm, c.multiplier, c.shift)
        ids[first + r] = token
