"""Forced decoding in native code."""

from __future__ import annotations

import numpy as np

from int8ref.abi.call import (
    DECODER_ROWS,
    GIVEN,
    LENGTHS,
    MULTIPLIER,
    OUT,
    PITCH,
    SHIFT,
)
from int8ref.kernels.log_softmax import largest, log_probability, normalizer
from int8ref.kernels.views import array, word
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import target_input
from int8ref.machine.loop.steps import HEAD_ROWS, advance, begin, head_logits, head_width, keep


@part
def forced(frame: int, call: int) -> None:
    """Twin of `search.forced.log_probabilities`: that of every given token."""
    sentences = begin(frame, call)
    shape = (sentences, word(call, PITCH))
    given = array(word(call, GIVEN), shape, np.int32)
    out = array(word(call, OUT), shape, np.int32)
    lengths = array(word(call, LENGTHS), (sentences,), np.int32)
    ids, sentence = target_input(frame, call, 0), target_input(frame, call, 2)
    multiplier, shift = word(call, MULTIPLIER), word(call, SHIFT)
    width = head_width(call)
    length = 0
    rows = sentences
    while rows > 0:
        advance(frame, call, rows, length, word(call, DECODER_ROWS) - 1)
        for first in range(0, rows, HEAD_ROWS):
            count = min(HEAD_ROWS, rows - first)
            logits = array(head_logits(frame, call, first, count), (count, width), np.int32)
            for r in range(count):
                row = logits[r]
                index = sentence[first + r]
                token = given[index, length]
                top = largest(row)
                norm = normalizer(row, top, multiplier, shift)
                out[index, length] = log_probability(row[token], top, norm, multiplier, shift)
                ids[first + r] = token
        length += 1
        going = 0
        for row in range(rows):
            if length < lengths[sentence[row]]:
                keep(frame, call, row, going)
                going += 1
        rows = going
