"""Given beginnings of texts, continued by a decoder alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from int8ref.search.sampling import Sampling, draw

if TYPE_CHECKING:
    from int8ref.executor import Engine


def continuations(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    sampling: Sampling,
    texts: Sequence[int] | None = None,
) -> list[list[int]]:
    """The token ids that follow each prompt, without eos: drawn by `sampling` until eos is, or as
    many as the text's limit.

    The Program's start comes before a prompt, which may be empty.  `texts`: a number of each text,
    for its random numbers; by default from 0 on.  Rows that are done leave the batch, and no text
    depends on its neighbours.
    """
    if not sampling.temperature:
        return engine.greedy([[] for _ in prompts], limits, prefixes=prompts)
    program, limit = engine.program, np.asarray(limits)
    numbers = np.arange(len(prompts)) if texts is None else np.asarray(texts)
    session = engine.session([[] for _ in prompts])
    row_of, length = np.arange(len(prompts)), np.array([len(prompt) for prompt in prompts])
    ids = np.full(len(prompts), program.start, np.int32)
    out: list[list[int]] = [[] for _ in prompts]
    step = 0
    while len(row_of):
        logits = session.step(ids)
        reading = step < length[row_of]
        given = [prompts[i][step] if step < len(prompts[i]) else 0 for i in row_of.tolist()]
        ids, written = np.array(given, np.int32), ~reading
        here, made = row_of[written], step - length[row_of[written]]
        ids[written] = draw(logits[written], program.log_softmax, sampling, numbers[here], made)
        going = reading | (ids != program.eos)
        for i, token in zip(row_of[written & going], ids[written & going], strict=True):
            out[i].append(int(token))
        going &= reading | (step - length[row_of] + 1 < limit[row_of])
        if not going.all():
            kept = np.flatnonzero(going)
            ids, row_of = ids[kept], row_of[kept]
            session.select(kept)
        step += 1
    return out
