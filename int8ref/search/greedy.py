"""Greedy search: the reference of what the compiled engine does in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from int8ref.search.decoder import Decoder
from int8ref.search.request import Request


def greedy(decoder: Decoder, requests: Sequence[Request]) -> list[list[int]]:
    """Follow the largest logit (ties: the lowest id) until eos or the sentence's limit.

    Of each sentence only the logits of its candidates count, where there are any.  The tokens of
    its prefix come first, whatever the logits are; limits count the tokens after them.

    Rows that are done leave the batch; a row's result does not depend on its neighbours.  The ids
    of the translations, without prefix and eos.
    """
    session = decoder.session([request.ids for request in requests])
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
            ids[row] = likeliest(logits[row], request.candidates)
            if ids[row] != decoder.program.eos:
                out[index].append(int(ids[row]))
                if step + 1 < request.steps:
                    going.append(row)
        ids, sentence = ids[going], sentence[going]
        session.select(np.array(going, np.int64))
        step += 1
    return out


def likeliest(logits: npt.NDArray[np.int32], candidates: npt.NDArray[np.int32] | None) -> int:
    """The first of the tokens with the largest logit, among the candidates where there are any."""
    if candidates is None:
        return int(logits.argmax())
    return int(candidates[logits[candidates].argmax()])
