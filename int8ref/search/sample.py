"""Sampling: the reference of what the compiled engine does in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from int8ref.program.inputs import Batch
from int8ref.search.decoder import Decoder
from int8ref.search.hypothesis import Sampling
from int8ref.search.sampling import drawn, random_numbers, weights


def sample(
    decoder: Decoder,
    batch: Batch,
    limits: Sequence[int],
    sampling: Sampling,
    texts: Sequence[int],
    prefixes: Batch,
) -> list[list[int]]:
    """Follow tokens that are drawn (see `search.sampling`), until eos or the sentence's limit.

    What a sentence's prefix has comes first; limits and random numbers count what follows.  A row
    that is done leaves the batch, and none depends on its neighbours.  The ids that were drawn,
    without eos.
    """
    program = decoder.program
    session = decoder.session(batch)
    sentence = np.arange(len(batch))
    ids = np.full(len(batch), program.start, np.int32)
    random = random_numbers(sampling.seed, texts, max(limits, default=0))
    out: list[list[int]] = [[] for _ in batch]
    step = 0
    while len(sentence):
        weight = weights(session.step(ids), program.log_softmax, sampling)
        going = []
        for row, index in enumerate(sentence.tolist()):
            at = step - len(prefixes[index])
            if at < 0:
                ids[row] = prefixes[index][step]
                going.append(row)
                continue
            ids[row] = drawn(weight[row], int(random[index, at]))
            if ids[row] != program.eos:
                out[index].append(int(ids[row]))
                if at + 1 < limits[index]:
                    going.append(row)
        ids, sentence = ids[going], sentence[going]
        session.select(np.array(going, np.int64))
        step += 1
    return out
