"""Greedy search with a FloatModel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weights_import.float_forward import Ids, Observer, check_sources, decode, encode, start_state
from weights_import.float_model import FloatModel


def greedy(
    model: FloatModel,
    sources: Sequence[Ids],
    max_length_factor: float | None = None,
    observe: Observer | None = None,
    batch_size: int = 64,
) -> list[list[int]]:
    """The likeliest token at every step, until `eos`; ties go to the smallest id.

    Sources end with `eos`; translations come in the order of the sources, without `eos`.
    A source of n tokens takes at most max(1, floor(max_length_factor * n)) steps (default: the
    architecture's factor), the one that predicts `eos` counted.  Marian multiplies by the longest
    source of the batch instead, so that there the limit depends on the neighbours.
    """
    factor = (
        model.architecture.max_length_factor if max_length_factor is None else max_length_factor
    )
    check_sources(model, sources)
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    translations: list[list[int]] = [[] for _ in sources]
    for first in range(0, len(order), batch_size):
        batch = order[first : first + batch_size]
        limits = np.array([max(1, int(factor * len(sources[i]))) for i in batch])
        found = _greedy_batch(model, [sources[i] for i in batch], limits, observe)
        for i, translation in zip(batch, found, strict=True):
            translations[i] = translation
    return translations


def _greedy_batch(
    model: FloatModel,
    sources: Sequence[Ids],
    limits: np.ndarray[tuple[int], np.dtype[np.int64]],
    observe: Observer | None,
) -> list[list[int]]:
    """One batch; a sentence leaves it as soon as it is finished."""
    memory = encode(model, sources, observe)
    state = start_state(model, len(sources))
    translations: list[list[int]] = [[] for _ in sources]
    alive = np.arange(len(sources))
    previous = np.full((len(sources), 1), model.architecture.start, np.int64)
    while alive.size:
        logits, state = decode(model, memory, state, previous, observe=observe)
        best = logits[:, -1].argmax(axis=-1)
        going = best != model.architecture.eos
        for i, token in zip(alive[going], best[going], strict=True):
            translations[i].append(int(token))
        going &= state.position < limits[alive]
        if not going.all():
            rows = np.flatnonzero(going)
            memory, state = memory.select(rows), state.select(rows)
        alive, previous = alive[going], best[going, None]
    return translations
