"""Greedy search in native code."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.compile import kernel
from int8ref.kernels.views import array, set_word, word
from int8ref.machine.call import (
    CODE,
    CODE_ROWS,
    DECODER,
    DECODER_ROWS,
    EOS,
    LENGTHS,
    LIMITS,
    OUT,
    OUT_PITCH,
    START,
)
from int8ref.machine.frame import ROWS
from int8ref.machine.interpreter import run
from int8ref.machine.rows import TARGET_ROWS, clear_states, move_states, target_input

SENTENCES = 6 + ROWS


@kernel
def greedy(frame, call):
    """Twin of `search.greedy`: encode, then step until every row is done."""
    sentences = word(frame, SENTENCES) - 1
    limits = array(word(call, LIMITS), (sentences,), np.int32)
    lengths = array(word(call, LENGTHS), (sentences,), np.int32)
    out = array(word(call, OUT), (sentences, word(call, OUT_PITCH)), np.int32)
    ids, positions = target_input(frame, call, 0), target_input(frame, call, 1)
    sentence = target_input(frame, call, 2)
    eos = np.int32(word(call, EOS))
    run(word(call, CODE), word(call, CODE_ROWS), frame)
    set_word(frame, TARGET_ROWS, sentences)
    clear_states(frame, call)
    for row in range(sentences):
        ids[row] = np.int32(word(call, START))
        sentence[row] = np.int32(row)
        lengths[row] = np.int32(0)
    length = np.int32(0)
    rows = sentences
    while rows > 0:
        for row in range(rows):
            positions[row] = length
        run(word(call, DECODER), word(call, DECODER_ROWS), frame)  # its last row puts ids
        length = np.int32(length + np.int32(1))
        going = 0
        for row in range(rows):
            token, index = ids[row], sentence[row]
            if token != eos:
                out[index, lengths[index]] = token
                lengths[index] = length
                if length < limits[index]:
                    if going < row:
                        ids[going] = token
                        sentence[going] = index
                        move_states(frame, call, row, going)
                    going += 1
        rows = going
        set_word(frame, TARGET_ROWS, rows)
