"""Beam search in native code.

A live hypothesis has a row of the batch.  After the ranking of a step, the best successor of each
hypothesis stays in the row of the hypothesis.  Only further successors are copied, to free rows.
The last rows then move to free rows before them, which copies no history.  Therefore no copy
overwrites a row that another copy reads.
"""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array
from int8ref.machine.loop.choice import choose
from int8ref.machine.loop.hypotheses import counts_of, live_of, nodes_of, search_of
from int8ref.machine.loop.part import part
from int8ref.machine.loop.ranking import end, rank
from int8ref.machine.loop.rows import (
    call_at,
    copy_states,
    ids_of,
    move_states,
    sentence_of,
    set_position,
    slots_of,
    table,
    vector,
)
from int8ref.machine.loop.steps import advance_to_head, begin, first_position


@kernel
def _feed(frame, call, row, s, node, position):
    """Make the last token of a hypothesis the input of its row.

    If the hypothesis has no token yet, use the last token of the prefix.  `position` is the number
    of tokens so far, with the prefix.
    """
    ids = ids_of(frame, call)
    if node < 0:
        ids[row] = table(call, call_at(call).given, s + 1)[s, position - 1]
    else:
        ids[row] = np.int32(nodes_of(call, node + 1)[node].token)
    sentence_of(frame, call)[row] = np.int32(s)
    set_position(frame, call, row, position)


@part
def settle(frame: int, call: int, sentences: int, step: int) -> int:
    """Give every live hypothesis a row of its own with its states; returns the number of live
    hypotheses.

    The live hypotheses use the first rows.
    """
    counts = counts_of(call, sentences)
    claimed = array(search_of(call).claimed, (sentences * call_at(call).beam_size,), np.int64)
    rows: int = _claim(call, counts, claimed)
    free = 0
    for moves in range(2):  # first all copies, because a row that moves may have been copied
        for s in range(sentences):
            live = live_of(call, s)
            position = first_position(call, s) + step
            for h in range(counts[s].alive):
                row, stays = live[h].row, live[h].stays
                if stays == moves and (stays == 0 or row >= rows):
                    while claimed[free] == 1:
                        free += 1
                    claimed[free] = 1
                    if moves == 0:
                        copy_states(frame, call, row, free, position)
                    else:
                        _exchange_slots(frame, row, free)
                        move_states(frame, call, row, free)
                    live[h].row = free
    for s in range(sentences):
        live = live_of(call, s)
        for h in range(counts[s].alive):
            position = first_position(call, s) + step
            _feed(frame, call, live[h].row, s, live[h].node, position)
    return rows


@kernel
def _exchange_slots(frame, row, other):
    """Exchange the history slots of two rows, so that no history is copied."""
    slots = slots_of(frame)
    slots[row], slots[other] = slots[other], slots[row]


@kernel
def _claim(call, counts, claimed):
    """Let the first hypothesis of every row stay there; returns the number of live hypotheses."""
    for row in range(len(claimed)):
        claimed[row] = 0
    rows = 0
    for s in range(len(counts)):
        live = live_of(call, s)
        for h in range(counts[s].alive):
            row = live[h].row
            live[h].stays = 1 - claimed[row]
            claimed[row] = 1
            rows += 1
    return rows


@part
def beam(frame: int, call: int) -> None:
    """Twin of `search.beam`: encode, then run steps until no hypothesis lives."""
    sentences = begin(frame, call)
    counts = counts_of(call, sentences)
    search_of(call).node_count = 0
    for s in range(sentences):
        first = live_of(call, s)[0]
        first.row, first.node, first.total = s, -1, 0
        counts[s].alive, counts[s].complete, counts[s].cut = 1, 0, 0
    given_lengths = vector(call_at(call).given_lengths, sentences)
    step = 0
    rows = sentences
    while rows > 0:
        advance_to_head(frame, call, rows)
        choose(frame, call, rows)
        step += 1
        for s in range(sentences):
            length = first_position(call, s) + step - given_lengths[s]
            if counts[s].alive > 0 and length > 0:
                rank(call, sentences, s, length)
                end(call, sentences, s, length)
        rows = settle(frame, call, sentences, step)
