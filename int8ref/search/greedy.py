"""Greedy search: the reference for the compiled engine, which runs it in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from int8ref.search.decoder import Decoder
from int8ref.search.logits import Logits
from int8ref.search.request import Request


def greedy(decoder: Decoder, requests: Sequence[Request]) -> list[list[int]]:
    """Take the token with the largest logit (of equal logits, the lowest id) until an
    end mark or the limit.

    `search.logits` says which tokens and logits count.  The
    tokens of a prefix come first, whatever the logits are.  A limit counts the tokens after the
    prefix.  Finished rows leave the batch.  The result of a row does not depend on other rows.

    Returns the ids of the translations, without prefix and end mark.
    """
    session = decoder.session([request.ids for request in requests])
    stages = [Logits(decoder.program, request) for request in requests]
    sentence = np.arange(len(requests))
    ids = np.full(len(requests), decoder.program.start, np.int32)
    out: list[list[int]] = [[] for _ in requests]
    step = 0
    while len(sentence):
        logits = session.step(ids)
        going = []
        for row, index in enumerate(sentence.tolist()):
            request = requests[index]
            if step < len(request.prefix):
                ids[row] = request.prefix[step]
                going.append(row)
                continue
            ids[row] = stages[index].row(logits[row], out[index]).likeliest
            if ids[row] not in decoder.program.ends:
                out[index].append(int(ids[row]))
                if step + 1 < request.steps:
                    going.append(row)
        ids, sentence = ids[going], sentence[going]
        session.select(np.array(going, np.int64))
        step += 1
    return out
