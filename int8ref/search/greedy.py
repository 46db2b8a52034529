"""Greedy search: the reference of what the compiled engine does in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from int8ref.reference.argmax import argmax

if TYPE_CHECKING:
    from int8ref.executor import Batch, Engine


def greedy(engine: Engine, batch: Batch, limits: Sequence[int]) -> list[list[int]]:
    """Follow the largest logit (ties: the lowest id) until eos or the sentence's limit.

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
        ids = argmax(session.step(ids))
        length += 1
        for index, token in zip(sentence, ids, strict=True):
            if token != program.eos:
                out[index].append(int(token))
        going = np.flatnonzero((ids != program.eos) & (length < most[sentence]))
        if len(going) < len(sentence):
            ids, sentence = ids[going], sentence[going]
            session.select(going)
    return out
