"""Greedy search: the reference of what the compiled engine does in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from int8ref.program.inputs import Batch
from int8ref.reference.argmax import argmax
from int8ref.search.candidates import Candidates
from int8ref.search.decoder import Decoder


def greedy(
    decoder: Decoder,
    batch: Batch,
    limits: Sequence[int],
    candidates: Candidates | None,
    prefixes: Batch,
) -> list[list[int]]:
    """Follow the largest logit (ties: the lowest id) until eos or the sentence's limit.

    Of each sentence only the logits of its candidates count, where there are any.  What its
    prefix has comes first, whatever the logits are; limits count what follows.

    Rows that are done leave the batch; a row's result does not depend on its neighbours.  The ids
    of the translations, without prefix and eos.
    """
    program = decoder.program
    session = decoder.session(batch)
    sentence = np.arange(len(batch))
    ids = np.full(len(batch), program.start, np.int32)
    most = np.asarray(limits)
    given = np.array([len(prefix) for prefix in prefixes])
    out: list[list[int]] = [[] for _ in batch]
    step = 0
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
        reading = step < given[sentence]
        for row in np.flatnonzero(reading):
            ids[row] = prefixes[sentence[row]][step]
        for row in np.flatnonzero(~reading & (ids != program.eos)):
            out[sentence[row]].append(int(ids[row]))
        step += 1
        followed = (ids != program.eos) & (step - given[sentence] < most[sentence])
        going = np.flatnonzero(reading | followed)
        if len(going) < len(sentence):
            ids, sentence = ids[going], sentence[going]
            session.select(going)
    return out
