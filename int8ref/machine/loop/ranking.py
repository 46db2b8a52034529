"""A step of one sentence's beam search: what lives on, what is complete, and when it ends."""

from __future__ import annotations

import numpy as np

from int8ref.abi.call import BEAM_SIZE, EOS, HYPOTHESES, LIMITS, N_BEST, PENALTIES
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array, word
from int8ref.machine.loop.choice import search_array
from int8ref.machine.loop.part import part
from int8ref.machine.memory.hypotheses import (
    ALIVE,
    CHOICE_COUNT,
    CHOICES,
    COMPLETE,
    COUNTS,
    CURSORS,
    CUT,
    END,
    ENDED,
    GAIN,
    LIVE,
    NODE,
    NODE_COUNT,
    NODES,
    PARENT,
    ROW,
    SCORE,
    SUCCESSORS,
    TOKEN,
    TOTAL,
)
from int8ref.search.length import PENALTY_BITS

HALVES = np.int64(PENALTY_BITS + 1)


@kernel
def _score(call, total, length):
    """Twin of `search.length.normalized`, with the penalty of so many tokens."""
    penalty = word(word(call, PENALTIES), length)
    return ((total << HALVES) + penalty) // (penalty + penalty)


@kernel
def _add_node(call, choice, parent):
    """A token after those of `parent`; returns its node."""
    counter = search_array(call, NODE_COUNT, (1,))
    node = counter[0]
    nodes = search_array(call, NODES, (node + 1, 3))
    nodes[node, TOKEN], nodes[node, GAIN] = choice[TOKEN], choice[GAIN]
    nodes[node, PARENT] = parent
    counter[0] = node + 1
    return node


@kernel
def _add_ended(call, sentences, s, kind, node, total, length):
    """Put a hypothesis among those of its kind (COMPLETE, CUT), behind all that are not worse."""
    counts = search_array(call, COUNTS, (sentences, 3))[s]
    ended = search_array(call, ENDED, (sentences, word(call, BEAM_SIZE), 2))[s]
    score = _score(call, total, length)
    first = 0 if kind == COMPLETE else counts[COMPLETE]
    at = first + counts[kind]
    while at > first and ended[at - 1, SCORE] < score:
        ended[at, END], ended[at, SCORE] = ended[at - 1, END], ended[at - 1, SCORE]
        at -= 1
    ended[at, END], ended[at, SCORE] = node, score
    counts[kind] += 1


@part
def rank(call: int, sentences: int, s: int, length: int) -> None:
    """Merge the choices of the live hypotheses of a sentence, each of which has its own ranked.

    The likeliest successors take the places that no complete hypothesis has: those that end with
    eos are complete, the others replace the live ones; their ROW is still that of the hypothesis
    they follow.
    """
    size, eos = word(call, BEAM_SIZE), word(call, EOS)
    count = word(word(call, HYPOTHESES), CHOICE_COUNT)
    live = search_array(call, LIVE, (sentences, size, 4))[s]
    counts = search_array(call, COUNTS, (sentences, 3))[s]
    choices = search_array(call, CHOICES, (sentences * size, count, 2))
    cursors = search_array(call, CURSORS, (size,))
    successors = search_array(call, SUCCESSORS, (size, 4))
    for h in range(counts[ALIVE]):
        cursors[h] = 0
    going = 0
    for _ in range(size - counts[COMPLETE]):
        best, total = -1, np.int64(0)
        for h in range(counts[ALIVE]):
            if cursors[h] < count and choices[live[h, ROW], cursors[h], TOKEN] >= 0:
                candidate = live[h, TOTAL] + choices[live[h, ROW], cursors[h], GAIN]
                if best < 0 or candidate > total:
                    best, total = h, candidate
        if best < 0:
            break
        choice = choices[live[best, ROW], cursors[best]]
        cursors[best] += 1
        node = _add_node(call, choice, live[best, NODE])
        if choice[TOKEN] == eos:
            _add_ended(call, sentences, s, COMPLETE, node, total, length)
        else:
            successors[going, ROW], successors[going, NODE] = live[best, ROW], node
            successors[going, TOTAL] = total
            going += 1
    for h in range(going):
        for column in range(4):
            live[h, column] = successors[h, column]
    counts[ALIVE] = going


@part
def end(call: int, sentences: int, s: int, length: int) -> None:
    """End the search of a sentence at its limit, or when its result can change no more."""
    size, n_best = word(call, BEAM_SIZE), word(call, N_BEST)
    live = search_array(call, LIVE, (sentences, size, 4))[s]
    ended = search_array(call, ENDED, (sentences, size, 2))[s]
    counts = search_array(call, COUNTS, (sentences, 3))[s]
    limit = np.int64(array(word(call, LIMITS), (sentences,), np.int32)[s])
    if length == limit:
        for h in range(counts[ALIVE]):
            _add_ended(call, sentences, s, CUT, live[h, NODE], live[h, TOTAL], length)
        counts[ALIVE] = 0
    elif counts[COMPLETE] >= n_best:
        bound = _score(call, live[0, TOTAL], limit)
        if bound <= ended[n_best - 1, SCORE]:
            counts[ALIVE] = 0
