"""Greedy and beam search with a FloatModel, and texts that it writes by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from int8ref.search.beam import Choices, SentenceSearch
from int8ref.search.hypothesis import BeamOptions, Hypothesis
from int8ref.search.sampling import random_numbers
from int8ref.spec.arithmetic import LOG_BITS
from weights_import.arithmetic.distribution import drawn, log_probabilities
from weights_import.float_model import FloatModel
from weights_import.forward import decode, encode
from weights_import.id_batch import Ids, check_sources
from weights_import.progress import Tell, silent
from weights_import.run import Memory, State, Weights
from weights_import.tensors import Float32

LOG2_E = 1.4426950408889634
Choose = Callable[[Float32, NDArray[np.intp], int], NDArray[np.int64]]
"""Tokens for logits [rows, vocabulary] of these sentences at a step."""
Stepped = Callable[[int, int], object]
"""Takes the number of steps of a batch, and of its sentences that have ended."""


def greedy(
    model: FloatModel,
    sources: Sequence[Ids],
    max_length_factor: float | None = None,
    batch_size: int = 128,
    ends: bool = True,
    begun: Sequence[Ids] = (),
    tell: Tell = silent,
) -> list[list[int]]:
    """The likeliest token at every step, until an end mark; ties go to the smallest id.

    Sources are in their frame.  Translations come in the order of the sources, without end marks.
    A source of n tokens takes at most max(1, floor(max_length_factor * n)) steps, the prediction of
    the end mark counted.  The default is the factor of the model.  Marian multiplies by the longest
    source of the batch instead, so its limit depends on the other sentences.  Without `ends`, no
    end mark is chosen, and only the greatest length ends a translation.  `begun` are tokens with
    which the translation of each source begins; they do not count for its length.  `tell` takes the
    number of sentences that are done, and the number of all.
    """
    check_sources(model, sources)
    translations: list[list[int]] = [[] for _ in sources]
    likeliest = _likeliest if ends else partial(_likeliest, but=model.generation.ends)
    first = begun or [()] * len(sources)
    weights = Weights(model.tensors, keep=True)
    done = 0
    for batch in batches([len(source) for source in sources], batch_size):
        chosen = [sources[i] for i in batch]
        given = [first[i] for i in batch]
        limits = _limits(model, chosen, max_length_factor, given)
        choose = partial(_given, given, likeliest)
        stepped = partial(_ended, tell, done, len(sources))
        memory = encode(model, chosen, weights)
        found = _follow(model, weights, memory, limits, choose, stepped)
        for i, translation in zip(batch, found, strict=True):
            translations[i] = translation
        done += len(batch)
    return translations


def sample(
    model: FloatModel, count: int, length: int, seed: int = 0, tell: Tell = silent
) -> list[list[int]]:
    """Texts of at most `length` tokens that a decoder alone writes.

    Each token is drawn by its probability, with the random numbers of `int8ref.search.sampling`.
    `tell` takes the number of steps that are done, and the greatest number.
    """
    most = min(length, model.generation.max_positions or length)
    random = random_numbers(seed, range(count), most)

    def choose(logits: Float32, sentences: NDArray[np.intp], step: int) -> NDArray[np.int64]:
        return drawn(logits, random[sentences, step])

    sources: list[list[int]] = [[]] * count
    memory = encode(model, sources)
    weights = Weights(model.tensors, keep=True)

    def stepped(step: int, ended: int) -> None:
        tell(step, most)

    return _follow(model, weights, memory, np.full(count, most), choose, stepped)


def _ended(tell: Tell, before: int, total: int, step: int, ended: int) -> None:
    """Tell the progress of a batch, before which some sentences were done."""
    tell(before + ended, total)


def _likeliest(
    logits: Float32, sentences: NDArray[np.intp], step: int, but: Sequence[int] = ()
) -> NDArray[np.int64]:
    """The token of the largest logit of each row, `but` for some."""
    logits[:, list(but)] = -np.inf
    found: NDArray[np.int64] = logits.argmax(axis=-1)
    return found


def beam(
    model: FloatModel,
    sources: Sequence[Ids],
    options: BeamOptions,
    max_length_factor: float | None = None,
    batch_size: int = 128,
) -> list[list[Hypothesis]]:
    """The best hypotheses of each source by the rules of `int8ref.search.beam`; limits as above.

    Log-probabilities come from the float logits.  They are rounded to the unit of the rules.
    """
    check_sources(model, sources)
    hypotheses: list[list[Hypothesis]] = [[] for _ in sources]
    weights = Weights(model.tensors, keep=True)
    for batch in batches([len(source) for source in sources], batch_size):
        chosen = [sources[i] for i in batch]
        limits = _limits(model, chosen, max_length_factor)
        found = _beam_batch(model, weights, encode(model, chosen, weights), limits, options)
        for i, best in zip(batch, found, strict=True):
            hypotheses[i] = best
    return hypotheses


def batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices of the sentences of each batch, short ones first."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    for first in range(0, len(order), size):
        yield order[first : first + size]


def _given(
    first: Sequence[Ids],
    choose: Choose,
    logits: Float32,
    sentences: NDArray[np.intp],
    step: int,
) -> NDArray[np.int64]:
    """The `first` tokens of each sentence, and then what `choose` takes."""
    found = choose(logits, sentences, step)
    for row, sentence in enumerate(sentences.tolist()):
        if step < len(first[sentence]):
            found[row] = first[sentence][step]
    return found


def _limits(
    model: FloatModel, sources: Sequence[Ids], factor: float | None, first: Sequence[Ids] = ()
) -> NDArray[np.int64]:
    factor = model.generation.max_length_factor if factor is None else factor
    limits = np.array([max(1, int(factor * len(source))) for source in sources])
    if first:
        limits = limits + np.array([len(ids) for ids in first])
    most = model.generation.max_positions
    return limits.clip(max=most) if most else limits


def _follow(
    model: FloatModel,
    weights: Weights,
    memory: Memory,
    limits: NDArray[np.int64],
    choose: Choose,
    stepped: Stepped,
) -> list[list[int]]:
    """One batch, along the tokens that `choose` takes; a finished sentence leaves the batch."""
    state = State()
    translations: list[list[int]] = [[] for _ in limits]
    alive = np.arange(len(limits))
    previous = np.full(len(limits), model.generation.start, np.int64)
    while alive.size:
        best = choose(decode(model, memory, state, previous, weights), alive, state.position - 1)
        going = (best[:, None] != model.generation.ends).all(axis=1)
        for i, token in zip(alive[going], best[going], strict=True):
            translations[i].append(int(token))
        going &= state.position < limits[alive]
        if not going.all():
            rows = np.flatnonzero(going)
            memory, state = memory.select(rows), state.select(rows)
        alive, previous = alive[going], best[going]
        stepped(state.position, len(limits) - alive.size)
    return translations


def _beam_batch(
    model: FloatModel,
    weights: Weights,
    memory: Memory,
    limits: NDArray[np.int64],
    options: BeamOptions,
) -> list[list[Hypothesis]]:
    """One batch, a row a live hypothesis."""
    state = State()
    searches = [SentenceSearch(model.generation.ends, int(n), options) for n in limits]
    sentence = np.arange(len(limits))
    seen = memory
    previous = np.full(len(limits), model.generation.start, np.int64)
    while sentence.size:
        followers = _choices(decode(model, seen, state, previous, weights), options.beam_size)
        rows: list[int] = []
        for s in dict.fromkeys(sentence.tolist()):
            here = np.flatnonzero(sentence == s)
            rows += here[searches[s].advance([followers[row] for row in here])].tolist()
        state = state.select(np.array(rows, np.intp))
        if not np.array_equal(sentence[rows], sentence):
            seen = memory.select(sentence[rows])
        sentence = sentence[rows]
        live = [path.ids[-1] for s in dict.fromkeys(sentence.tolist()) for path in searches[s].live]
        previous = np.array(live, np.int64)
    return [search.best() for search in searches]


def _choices(logits: Float32, count: int) -> list[Choices]:
    """The tokens of the largest logits of each row and their log-probabilities, best first."""
    count = min(count, logits.shape[1])
    found: list[Choices] = []
    for row, told in zip(logits, log_probabilities(logits), strict=True):
        top = np.argpartition(-row, count - 1)[:count]
        least = row[top].min()
        top = np.flatnonzero(row >= least)  # all that are as large as the last one
        top = top[np.lexsort((top, -row[top]))][:count]
        gains = np.rint(told[top] * LOG2_E * 2**LOG_BITS)
        found.append([(int(t), min(int(gain), 0)) for t, gain in zip(top, gains, strict=True)])
    return found
