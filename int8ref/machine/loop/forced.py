"""Forced decoding in native code."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.log_softmax import cap_logits, largest, log_probability, normalizer
from int8ref.kernels.views import array
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import call_at, ids_of, sentence_of, table, vector
from int8ref.machine.loop.steps import (
    HEAD_ROWS,
    advance_to_head,
    begin,
    head_logits,
    head_width,
    move_row,
)


@part
def forced(frame: int, call: int) -> None:
    """Twin of `search.forced.log_probabilities`: the log-probability of every given token."""
    sentences = begin(frame, call)
    lengths = vector(call_at(call).lengths, sentences)
    sentence = sentence_of(frame, call)
    length = 0
    rows = sentences
    while rows > 0:
        advance_to_head(frame, call, rows, length)
        for first in range(0, rows, HEAD_ROWS):
            _score(frame, call, sentences, first, min(HEAD_ROWS, rows - first), length)
        length += 1
        going = 0
        for row in range(rows):
            if length < lengths[sentence[row]]:
                move_row(frame, call, row, going)
                going += 1
        rows = going


@kernel
def _score(frame, call, sentences, first, count, length):
    """Write the log-probabilities of the next tokens of a few rows; each token becomes the id of
    its row."""
    c = call_at(call)
    given, out = table(call, c.given, sentences), table(call, c.out, sentences)
    ids, sentence = ids_of(frame, call), sentence_of(frame, call)
    width = head_width(call)
    logits = array(head_logits(frame, call, first, count), (count, width), np.int32)
    for r in range(count):
        row, index = logits[r], sentence[first + r]
        token = given[index, length]
        cap_logits(row, c.cap_multiplier, c.cap_shift)
        top = largest(row)
        norm = normalizer(row, top, c.multiplier, c.shift)
        out[index, length] = log_probability(row[token], top, norm, c.multiplier, c.shift)
        ids[first + r] = token
