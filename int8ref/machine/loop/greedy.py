"""Greedy search in native code."""

from __future__ import annotations

from int8ref.kernels.argmax import first_largest
from int8ref.machine.loop.interpreter import run
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import call_at, ids_of, sentence_of
from int8ref.machine.loop.steps import candidate_logits, candidates, head
from int8ref.machine.loop.texts import advance_texts, follow, open_texts, waits


@part
def greedy(frame: int, call: int) -> None:
    """Twin of `search.greedy`: encode, then run steps until every text is finished.

    The last instruction writes the ids.  It does not run if only candidates count.
    """
    chosen = call_at(call).candidates != 0
    live = open_texts(frame, call)
    ids, sentence = ids_of(frame, call), sentence_of(frame, call)
    while live > 0 or waits(frame, call):
        live = advance_texts(frame, call, live)
        if chosen:
            for row in range(live):
                tokens = candidates(call, sentence[row])
                ids[row] = tokens[first_largest(candidate_logits(frame, call, row))]
        elif live > 0:
            run(head(call), 1, frame)
        live = follow(frame, call, live)
