"""One step of the beam search of one sentence: live hypotheses, complete hypotheses, and the
end."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array, word
from int8ref.machine.loop.hypotheses import (
    choices_of,
    counts_of,
    ended_of,
    live_of,
    nodes_of,
    search_of,
    successors_of,
)
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import call_at, ends, vector
from int8ref.search.length import PENALTY_BITS

HALVES = np.int64(PENALTY_BITS + 1)
COMPLETE, CUT = range(2)
"""The two ways in which a hypothesis ends."""


@kernel
def _score(call, total, length):
    """Twin of `search.length.normalized`, with the penalty of `length` tokens."""
    penalty = word(call_at(call).penalties, length)
    return ((total << HALVES) + penalty) // (penalty + penalty)


@kernel
def _add_node(call, choice, parent):
    """Add a token after node `parent`; returns the new node."""
    node = search_of(call).node_count
    new = nodes_of(call, node + 1)[node]
    new.token, new.gain, new.parent = choice.token, choice.gain, parent
    search_of(call).node_count = node + 1
    return node


@kernel
def _add_ended(call, counts, s, kind, node, score):
    """Add a hypothesis to its kind (COMPLETE or CUT), behind all with an equal or better score."""
    ended, own = ended_of(call, s), counts[s]
    first = 0 if kind == COMPLETE else own.complete
    at = first + (own.complete if kind == COMPLETE else own.cut)
    while at > first and ended[at - 1].score < score:
        ended[at].node, ended[at].score = ended[at - 1].node, ended[at - 1].score
        at -= 1
    ended[at].node, ended[at].score = node, score
    if kind == COMPLETE:
        own.complete += 1
    else:
        own.cut += 1


@kernel
def _best(call, live, alive, cursors):
    """(rank of the hypothesis with the best unranked choice, total of this choice); rank -1 for
    none."""
    count = search_of(call).choice_count
    best, total = -1, np.int64(0)
    for h in range(alive):
        if cursors[h] < count:
            choice = choices_of(call, live[h].row)[cursors[h]]
            candidate = live[h].total + choice.gain
            if choice.token >= 0 and (best < 0 or candidate > total):
                best, total = h, candidate
    return best, total


@part
def rank(call: int, sentences: int, s: int, length: int) -> None:
    """Merge the sorted choices of the live hypotheses of a sentence.

    The likeliest successors take the places that no complete hypothesis has.  A successor that ends
    with an end mark is complete.  The others replace the live hypotheses.  The `row` of a new live
    hypothesis is still the row of its parent.
    """
    size = call_at(call).beam_size
    live, counts, successors = live_of(call, s), counts_of(call, sentences), successors_of(call)
    cursors = array(search_of(call).cursors, (size,), np.int64)
    alive = counts[s].alive
    for h in range(alive):
        cursors[h] = 0
    going = 0
    for _ in range(size - counts[s].complete):
        best, total = _best(call, live, alive, cursors)
        if best < 0:
            break
        choice = choices_of(call, live[best].row)[cursors[best]]
        cursors[best] += 1
        node = _add_node(call, choice, live[best].node)
        if ends(call, choice.token):
            _add_ended(call, counts, s, COMPLETE, node, _score(call, total, length))
        else:
            new = successors[going]
            new.row, new.node, new.total = live[best].row, node, total
            going += 1
    for h in range(going):
        new = successors[h]
        live[h].row, live[h].node, live[h].total = new.row, new.node, new.total
    counts[s].alive = going


@part
def end(call: int, sentences: int, s: int, length: int) -> None:
    """End the search of a sentence at its limit, or when no step can change its result any more."""
    n_best = call_at(call).n_best
    live, counts = live_of(call, s), counts_of(call, sentences)
    limit = np.int64(vector(call_at(call).limits, sentences)[s])
    if length == limit:
        for h in range(counts[s].alive):
            score = _score(call, live[h].total, length)
            _add_ended(call, counts, s, CUT, live[h].node, score)
        counts[s].alive = 0
    elif counts[s].complete >= n_best:
        bound = _score(call, live[0].total, limit)
        if bound <= ended_of(call, s)[n_best - 1].score:
            counts[s].alive = 0
