"""Greedy search in native code."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.argmax import first_largest
from int8ref.kernels.ir.lowering import address
from int8ref.machine.loop.adjust import adjust, adjusts, kept_logits, kept_tokens, recall
from int8ref.machine.loop.interpreter import run
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import call_at, ids_of, sentence_of, vector
from int8ref.machine.loop.steps import (
    HEAD_ROWS,
    candidate_logits,
    candidates,
    chosen_count,
    head,
    head_logits,
    head_width,
)
from int8ref.machine.loop.texts import advance_texts, follow, open_texts, waits


@part
def _pick(frame: int, call: int, row: int, logits: int, width: int, tokens: int) -> int:
    """The token with the largest logit of a row.  `tokens`: see `loop.adjust.adjust`."""
    index: int = sentence_of(frame, call)[row]
    at: int = chosen_count(frame, call, row)
    if at >= 0 and adjusts(call, index):
        length: int = recall(call, index, at)
        kept: int = adjust(call, index, logits, width, tokens, length, at)
        token: int = kept_tokens(call, kept)[first_largest(kept_logits(call, kept))]
    else:
        token = first_largest(vector(logits, width))
        if tokens != 0:
            token = vector(tokens, width)[token]
    return token


@part
def _among_candidates(frame: int, call: int, live: int) -> None:
    """Choose the tokens of all rows among their candidates."""
    ids, sentence = ids_of(frame, call), sentence_of(frame, call)
    for row in range(live):
        tokens = candidates(call, sentence[row])
        logits = candidate_logits(frame, call, row)
        at, own = address(logits, np.int32), address(tokens, np.int32)
        ids[row] = np.int32(_pick(frame, call, row, at, len(logits), own))


@part
def _among_all(frame: int, call: int, live: int) -> None:
    """Choose the tokens of all rows among all tokens."""
    ids, width = ids_of(frame, call), head_width(call)
    for first in range(0, live, HEAD_ROWS):
        count = min(HEAD_ROWS, live - first)
        logits = head_logits(frame, call, first, count)
        for r in range(count):
            row = first + r
            ids[row] = np.int32(_pick(frame, call, row, logits + r * width * 4, width, 0))


@part
def greedy(frame: int, call: int) -> None:
    """Twin of `search.greedy`: encode, then run steps until every text is finished.

    The last instruction writes the ids.  It does not run if only candidates count, or if a text
    has adjustments: then the last instruction gives logits.
    """
    live = open_texts(frame, call)
    while live > 0 or waits(frame, call):
        live = advance_texts(frame, call, live)
        if call_at(call).candidates != 0:
            _among_candidates(frame, call, live)
        elif call_at(call).adjustments != 0:
            _among_all(frame, call, live)
        elif live > 0:
            run(head(call), 1, frame)
        live = follow(frame, call, live)
