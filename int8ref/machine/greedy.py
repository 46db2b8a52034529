"""Greedy search in native code."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.argmax import first_largest
from int8ref.kernels.views import array, word
from int8ref.machine.call import (
    CANDIDATES,
    DECODER_ROWS,
    EOS,
    GIVEN,
    GIVEN_LENGTHS,
    LENGTHS,
    LIMITS,
    OUT,
    PITCH,
)
from int8ref.machine.part import part
from int8ref.machine.rows import target_input
from int8ref.machine.steps import advance, begin, candidate_logits, candidates, keep


@part
def greedy(frame: int, call: int) -> None:
    """Twin of `search.greedy`: encode, then step until every row is done.

    The last instruction puts the ids, unless only candidates count: then it is left out.
    """
    chosen = word(call, CANDIDATES) != 0
    instructions = word(call, DECODER_ROWS) - (1 if chosen else 0)
    sentences = begin(frame, call)
    limits = array(word(call, LIMITS), (sentences,), np.int32)
    lengths = array(word(call, LENGTHS), (sentences,), np.int32)
    given_lengths = array(word(call, GIVEN_LENGTHS), (sentences,), np.int32)
    given = array(word(call, GIVEN), (sentences, word(call, PITCH)), np.int32)
    out = array(word(call, OUT), (sentences, word(call, PITCH)), np.int32)
    ids, sentence = target_input(frame, call, 0), target_input(frame, call, 2)
    eos = np.int32(word(call, EOS))
    for row in range(sentences):
        lengths[row] = np.int32(0)
    step = np.int32(0)
    rows = sentences
    while rows > 0:
        advance(frame, call, rows, step, instructions)
        if chosen:
            for row in range(rows):
                tokens = candidates(call, sentence[row])
                ids[row] = tokens[first_largest(candidate_logits(frame, call, row))]
        going = 0
        for row in range(rows):
            token, index = ids[row], sentence[row]
            goes_on = step < given_lengths[index]
            if goes_on:
                ids[row] = given[index, step]
            elif token != eos:
                out[index, lengths[index]] = token
                lengths[index] = np.int32(lengths[index] + np.int32(1))
                goes_on = lengths[index] < limits[index]
            if goes_on:
                keep(frame, call, row, going)
                going += 1
        step = np.int32(step + np.int32(1))
        rows = going
