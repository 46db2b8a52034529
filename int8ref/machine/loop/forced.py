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
    in_blocks,
    move_row,
    sentences_of,
)


@part
def forced(frame: int, call: int) -> None:
    """Twin of `search.forced.log_probabilities`: the log-probability of every given token."""
    sentences = begin(frame, call)
    if call_at(call).block != 0:
        in_blocks(_score_rows, _steps_of_path, frame, call)
    else:
        _step_by_step(frame, call, sentences)


@kernel
def _steps_of_path(call, index):
    """The positions of a path after its prefix."""
    return first_position(call, index), np.int64(vector(call_at(call).lengths, index + 1)[index])


@kernel
def _step_by_step(frame, call, sentences):
    """Run the steps one by one, each for all sentences that are so long."""
    lengths, sentence = vector(call_at(call).lengths, sentences), sentence_of(frame, call)
    position = 0
    rows = sentences
    while rows > 0:
        _score_rows(frame, call, rows)
        position += 1
        going = 0
        for row in range(rows):
            if position < lengths[sentence[row]]:
                move_row(frame, call, row, going, position)
                going += 1
        rows = going


@part
def _score_rows(frame: int, call: int, rows: int) -> None:
    """Write the log-probabilities of the next tokens of the rows."""
    advance_to_head(frame, call, rows)
    for first in range(0, rows, HEAD_ROWS):
        _score(frame, call, first, min(HEAD_ROWS, rows - first))


@kernel
def _score(frame, call, first, count):
    """Write the log-probabilities of the next tokens of a few rows; each token becomes the id of
    its row."""
    c, sentences = call_at(call), sentences_of(frame)
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
