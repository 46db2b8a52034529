"""Greedy and beam search with a FloatModel, and texts that it writes by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from int8ref.search.beam import Choices, SentenceSearch
from int8ref.search.hypothesis import BeamOptions, Hypothesis
from int8ref.spec.arithmetic import LOG_BITS
from weights_import.float_forward import Observer, decode, encode, logits, start_state
from weights_import.float_model import Float32, FloatModel
from weights_import.id_batch import Ids, check_sources


def greedy(
    model: FloatModel,
    sources: Sequence[Ids],
    max_length_factor: float | None = None,
    observe: Observer | None = None,
    batch_size: int = 64,
    ends: bool = True,
) -> list[list[int]]:
    """The likeliest token at every step, until `eos`; ties go to the smallest id.  Without `ends`,
    `eos` is never chosen, and only the greatest length ends a translation.

    Sources are in their frame; translations come in the order of the sources, without `eos`.
    A source of n tokens takes at most max(1, floor(max_length_factor * n)) steps (default: the
    architecture's factor), the one that predicts `eos` counted.  Marian multiplies by the longest
    source of the batch instead, so that there the limit depends on the neighbours.
    """
    check_sources(model, sources)
    translations: list[list[int]] = [[] for _ in sources]
    choose = likeliest if ends else partial(likeliest, but=model.architecture.eos)
    for batch in batches([len(source) for source in sources], batch_size):
        chosen = [sources[i] for i in batch]
        limits = _limits(model, chosen, max_length_factor)
        found = _follow(model, chosen, limits, choose, observe)
        for i, translation in zip(batch, found, strict=True):
            translations[i] = translation
    return translations


def sample(model: FloatModel, count: int, length: int, seed: int = 0) -> list[list[int]]:
    """Texts that a decoder alone writes, of so many tokens at most: each token is drawn by its
    probability.  The same for the same seed, on one machine."""
    random = np.random.default_rng(seed)

    def drawn(scores: Float32) -> NDArray[np.int64]:
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True), dtype=np.float64)
        reached = weights.cumsum(axis=-1)
        found: NDArray[np.int64] = (
            reached > random.random((len(scores), 1)) * reached[:, -1:]
        ).argmax(axis=-1)
        return found

    most = min(length, model.architecture.max_positions or length)
    return _follow(model, [[]] * count, np.full(count, most), drawn, None)


def likeliest(scores: Float32, but: int | None = None) -> NDArray[np.int64]:
    """The token of the largest logit of each row, `but` for one."""
    if but is not None:
        scores = scores.copy()
        scores[:, but] = -np.inf
    found: NDArray[np.int64] = scores.argmax(axis=-1)
    return found


def beam(
    model: FloatModel,
    sources: Sequence[Ids],
    options: BeamOptions,
    max_length_factor: float | None = None,
    batch_size: int = 32,
) -> list[list[Hypothesis]]:
    """The best hypotheses of each source by the rules of `int8ref.search.beam`; limits as above.

    Log-probabilities are those of the float logits, rounded to the units that the rules count in.
    """
    check_sources(model, sources)
    hypotheses: list[list[Hypothesis]] = [[] for _ in sources]
    for batch in batches([len(source) for source in sources], batch_size):
        chosen = [sources[i] for i in batch]
        found = _beam_batch(model, chosen, _limits(model, chosen, max_length_factor), options)
        for i, best in zip(batch, found, strict=True):
            hypotheses[i] = best
    return hypotheses


def batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices of the sentences of each batch, short ones first."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    for first in range(0, len(order), size):
        yield order[first : first + size]


def _limits(model: FloatModel, sources: Sequence[Ids], factor: float | None) -> NDArray[np.int64]:
    factor = model.architecture.max_length_factor if factor is None else factor
    limits = np.array([max(1, int(factor * len(source))) for source in sources])
    most = model.architecture.max_positions
    return limits.clip(max=most) if most else limits


def _follow(
    model: FloatModel,
    sources: Sequence[Ids],
    limits: NDArray[np.int64],
    choose: Callable[[Float32], NDArray[np.int64]],
    observe: Observer | None,
) -> list[list[int]]:
    """One batch, along the tokens chosen by their logits; a sentence leaves it as soon as it is
    finished."""
    memory = encode(model, sources, observe)
    state = start_state(model, len(sources))
    translations: list[list[int]] = [[] for _ in sources]
    alive = np.arange(len(sources))
    previous = np.full((len(sources), 1), model.architecture.start, np.int64)
    while alive.size:
        x, state = decode(model, memory, state, previous, observe=observe)
        best = choose(logits(model, x[:, -1]))
        going = best != model.architecture.eos
        for i, token in zip(alive[going], best[going], strict=True):
            translations[i].append(int(token))
        going &= state.position < limits[alive]
        if not going.all():
            rows = np.flatnonzero(going)
            memory, state = memory.select(rows), state.select(rows)
        alive, previous = alive[going], best[going, None]
    return translations


def _beam_batch(
    model: FloatModel, sources: Sequence[Ids], limits: NDArray[np.int64], options: BeamOptions
) -> list[list[Hypothesis]]:
    """One batch, a row a live hypothesis."""
    memory, state = encode(model, sources), start_state(model, len(sources))
    searches = [SentenceSearch(model.architecture.eos, int(n), options) for n in limits]
    sentence = np.arange(len(sources))
    seen = memory
    previous = np.full((len(sources), 1), model.architecture.start, np.int64)
    while sentence.size:
        x, state = decode(model, seen, state, previous)
        followers = _choices(logits(model, x[:, -1]), options.beam_size)
        rows: list[int] = []
        for s in dict.fromkeys(sentence.tolist()):
            here = np.flatnonzero(sentence == s)
            rows += here[searches[s].advance([followers[row] for row in here])].tolist()
        state = state.select(np.array(rows, np.intp))
        if not np.array_equal(sentence[rows], sentence):
            seen = memory.select(sentence[rows])
        sentence = sentence[rows]
        live = [path.ids[-1] for s in dict.fromkeys(sentence.tolist()) for path in searches[s].live]
        previous = np.array(live, np.int64)[:, None]
    return [search.best() for search in searches]


def _choices(scores: Float32, count: int) -> list[Choices]:
    """The tokens of the largest logits of each row and their log-probabilities, best first."""
    largest = scores.max(axis=1, keepdims=True)
    norms = largest + np.log(np.exp(scores - largest).sum(axis=1, keepdims=True))
    count = min(count, scores.shape[1])
    found: list[Choices] = []
    for row, norm in zip(scores, norms, strict=True):
        top = np.argpartition(-row, count - 1)[:count]
        top = top[np.lexsort((top, -row[top]))]
        gains = np.rint((row[top] - norm) * np.log2(np.e) * 2**LOG_BITS)
        found.append([(int(t), min(int(gain), 0)) for t, gain in zip(top, gains, strict=True)])
    return found
