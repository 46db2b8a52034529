"""Greedy search: the reference of what the compiled engine does in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from int8ref.reference.argmax import argmax

if TYPE_CHECKING:
    from int8ref.executor import Batch, Engine
    from int8ref.search.candidates import Candidates


def greedy(
    engine: Engine, batch: Batch, limits: Sequence[int], candidates: Candidates | None = None
) -> list[list[int]]:
    """Follow the largest logit (ties: the lowest id) until eos or the sentence's limit.

    Of each sentence only the logits of its candidates count, where there are any.

    Rows that are done leave the batch; a row's result does not depend on its neighbours.  The ids
    of the translations, without eos.
    """
    program = engine.program
    session = engine.session(batch)
    sentence = np.arange(len(batch))
    ids = np.full(len(batch), program.start, np.int32)
    most = np.asarray(limits)
    out: list[list[int]] = [[] for _ in batch]
    length = 0
    while len(sentence):
        logits = session.step(ids)
        if candidates is None:
            ids = argmax(logits)
        else:
            allowed = [candidates[index] for index in sentence.tolist()]
            ids = np.array(
                [
                    tokens[np.argmax(row[tokens])]
                    for row, tokens in zip(logits, allowed, strict=True)
                ]
            )
        length += 1
        for index, token in zip(sentence, ids, strict=True):
            if token != program.eos:
                out[index].append(int(token))
        going = np.flatnonzero((ids != program.eos) & (length < most[sentence]))
        if len(going) < len(sentence):
            ids, sentence = ids[going], sentence[going]
            session.select(going)
    return out
