"""Greedy search and beam search for engines that have no search of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

NONE = -1e9


class LeanSearch:
    """A search around the methods of an engine.

    work: {"source": ids of each sentence, "length": number of target tokens, "beam"}

    The engine has these methods:

        encode(source) -> memory              repeat(memory, times) -> memory
        start(rows) -> past                   reorder(past, rows) -> past
        likeliest(ids, position, memory, past) -> (ids, past)
        candidates(ids, position, memory, past, count) -> (log p, ids, past)

    Candidates are [rows, count], the most likely first.
    """

    engine: Any

    def prepare(self, work: dict[str, Any]) -> Callable[[], list[list[int]]]:
        source = np.array(work["source"], np.int64)
        length, beam = work["length"], work["beam"]
        if beam == 1:
            return lambda: greedy(self, source, length).tolist()
        return lambda: beam_search(self, source, length, beam).tolist()


def greedy(engine: Any, source: Any, length: int) -> Any:
    """Return token ids [sentences, length]."""
    rows = len(source)
    memory, past = engine.encode(source), engine.start(rows)
    ids = np.full(rows, engine.first, np.int64)
    out = np.empty((rows, length), np.int64)
    for position in range(length):
        ids, past = engine.likeliest(ids, position, memory, past)
        out[:, position] = ids
    return out


def beam_search(engine: Any, source: Any, length: int, beam: int) -> Any:
    """Return the token ids of the most likely hypothesis [sentences, length].

    No hypothesis ends early.
    """
    rows = len(source)
    memory = engine.repeat(engine.encode(source), beam)
    past = engine.start(rows * beam)
    ids = np.full(rows * beam, engine.first, np.int64)
    scores = np.full((rows, beam), NONE, np.float32)
    scores[:, 0] = 0
    out = np.zeros((rows, beam, length), np.int64)
    first_rows = np.arange(rows)[:, None] * beam
    for position in range(length):
        gains, tokens, past = engine.candidates(ids, position, memory, past, beam)
        totals = (scores[:, :, None] + gains.reshape(rows, beam, beam)).reshape(rows, -1)
        best = np.argsort(-totals, axis=1, kind="stable")[:, :beam]
        scores = np.take_along_axis(totals, best, 1)
        parents = best // beam
        out = np.take_along_axis(out, parents[:, :, None], 1)
        out[:, :, position] = np.take_along_axis(tokens.reshape(rows, -1), best, 1)
        ids = out[:, :, position].reshape(-1).copy()
        past = engine.reorder(past, (first_rows + parents).reshape(-1))
    return out[:, 0]
