"""Greedy search in native code."""

from __future__ import annotations

from int8ref.kernels.argmax import first_largest
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import call_at, ids_of, sentence_of
from int8ref.machine.loop.steps import advance, begin, candidate_logits, candidates, follow


@part
def greedy(frame: int, call: int) -> None:
    """Twin of `search.greedy`: encode, then run steps until every row is finished.

    The last instruction writes the ids.  It does not run if only candidates count.
    """
    chosen = call_at(call).candidates != 0
    instructions = call_at(call).decoder_rows - (1 if chosen else 0)
    sentences = begin(frame, call)
    ids, sentence = ids_of(frame, call), sentence_of(frame, call)
    rows = sentences
    while rows > 0:
        advance(frame, call, rows, instructions)
        if chosen:
            for row in range(rows):
                tokens = candidates(call, sentence[row])
                ids[row] = tokens[first_largest(candidate_logits(frame, call, row))]
        rows = follow(frame, call, rows)
