"""Sampling: the reference for the compiled engine, which runs it in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from int8ref.search.decoder import Decoder
from int8ref.search.hypothesis import Sampling
from int8ref.search.logits import Logits
from int8ref.search.request import Request
from int8ref.search.sampling import drawn, random_numbers, weights


def sample(decoder: Decoder, requests: Sequence[Request], sampling: Sampling) -> list[list[int]]:
    """Draw a token in every step (see `search.sampling`) until eos or the limit of the sentence.

    The tokens of a prefix come first.  A limit and the random numbers count the tokens after the
    prefix.  Finished rows leave the batch.  The result of a row does not depend on other rows.

    Returns the drawn ids, without eos.
    """
    session = decoder.session([request.ids for request in requests])
    sentence = np.arange(len(requests))
    ids = np.full(len(requests), decoder.program.start, np.int32)
    most = max((request.limit for request in requests), default=0)
    random = random_numbers(sampling.seed, [request.number for request in requests], most)
    out: list[list[int]] = [[] for _ in requests]
    stages = [Logits(decoder.program, request) for request in requests]
    step = 0
    while len(sentence):
        logits = session.step(ids)
        going = []
        for row, index in enumerate(sentence.tolist()):
            request = requests[index]
            at = step - len(request.prefix)
            if at < 0:
                ids[row] = request.prefix[step]
                going.append(row)
                continue
            seen = stages[index].row(logits[row], out[index])
            weight = weights(seen.logits[np.newaxis], seen.softmax, sampling)[0]
            ids[row] = seen.tokens[drawn(weight, int(random[index, at]))]
            if ids[row] not in decoder.program.ends:
                out[index].append(int(ids[row]))
                if at + 1 < request.limit:
                    going.append(row)
        ids, sentence = ids[going], sentence[going]
        session.select(np.array(going, np.int64))
        step += 1
    return out
