"""Beam search in native code.

A live hypothesis has a row of the batch.  When a step is ranked, the best successor of each
hypothesis stays in its row; only further successors are copied, to rows that nobody lives in, and
the last rows move to where others left.  So no copy overwrites what another one reads.
"""

from __future__ import annotations

import numpy as np

from int8ref.abi.call import BEAM_SIZE, DECODER_ROWS, GIVEN, GIVEN_LENGTHS, PITCH
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array, word
from int8ref.machine.loop.choice import choose, search_array
from int8ref.machine.loop.part import part
from int8ref.machine.loop.ranking import end, rank
from int8ref.machine.loop.rows import move_states, target_input
from int8ref.machine.loop.steps import advance, begin
from int8ref.machine.memory.hypotheses import (
    ALIVE,
    CLAIMED,
    COMPLETE,
    COUNTS,
    CUT,
    LIVE,
    NODE,
    NODE_COUNT,
    NODES,
    ROW,
    STAYS,
    TOKEN,
    TOTAL,
)


@kernel
def _feed(frame, call, row, s, node, step):
    """Make the last token of a hypothesis, or of the prefix that it begins after, the input of its
    row; `step` counts the tokens so far."""
    ids = target_input(frame, call, 0)
    if node < 0:
        given = array(word(call, GIVEN), (s + 1, word(call, PITCH)), np.int32)
        ids[row] = given[s, step - 1]
    else:
        ids[row] = np.int32(search_array(call, NODES, (node + 1, 3))[node, TOKEN])
    target_input(frame, call, 2)[row] = np.int32(s)


@part
def settle(frame: int, call: int, sentences: int, step: int) -> int:
    """Give every live hypothesis a row of its own, with its states; returns how many there are.

    As many rows as hypotheses live are used, the first ones.
    """
    size = word(call, BEAM_SIZE)
    live = search_array(call, LIVE, (sentences, size, 4))
    counts = search_array(call, COUNTS, (sentences, 3))
    claimed = search_array(call, CLAIMED, (sentences * size,))
    for row in range(len(claimed)):
        claimed[row] = 0
    rows = 0
    for s in range(sentences):
        for h in range(counts[s, ALIVE]):
            row = live[s, h, ROW]
            live[s, h, STAYS] = 1 - claimed[row]
            claimed[row] = 1
            rows += 1
    free = 0
    for s in range(sentences):
        for h in range(counts[s, ALIVE]):
            row = live[s, h, ROW]
            if row >= rows or live[s, h, STAYS] == 0:
                while claimed[free] == 1:
                    free += 1
                claimed[free] = 1
                move_states(frame, call, row, free)
                live[s, h, ROW] = free
            _feed(frame, call, live[s, h, ROW], s, live[s, h, NODE], step)
    return rows


@part
def beam(frame: int, call: int) -> None:
    """Twin of `search.beam`: encode, then step until no hypothesis lives."""
    sentences = begin(frame, call)
    size = word(call, BEAM_SIZE)
    live = search_array(call, LIVE, (sentences, size, 4))
    counts = search_array(call, COUNTS, (sentences, 3))
    search_array(call, NODE_COUNT, (1,))[0] = 0
    for s in range(sentences):
        live[s, 0, ROW], live[s, 0, NODE], live[s, 0, TOTAL] = s, -1, 0
        counts[s, ALIVE], counts[s, COMPLETE], counts[s, CUT] = 1, 0, 0
    given_lengths = array(word(call, GIVEN_LENGTHS), (sentences,), np.int32)
    step = 0
    rows = sentences
    while rows > 0:
        advance(frame, call, rows, step, word(call, DECODER_ROWS) - 1)
        choose(frame, call, rows)
        step += 1
        for s in range(sentences):
            length = step - given_lengths[s]
            if counts[s, ALIVE] > 0 and length > 0:
                rank(call, sentences, s, length)
                end(call, sentences, s, length)
        rows = settle(frame, call, sentences, step)
