"""Step by step, and in any batch, a decoder computes the bits of the whole text at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import every_kind
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from weights_import.arithmetic import threads
from weights_import.float_model import FloatModel
from weights_import.forward import decode, encode, forced
from weights_import.run import State, Weights
from weights_import.tensors import Float32, Stored, Tensors

Texts = list[list[int]]
TOKENS = st.integers(0, 10)


@st.composite
def texts(draw: st.DrawFn) -> tuple[Texts, Texts]:
    """Draw sources, and targets of other lengths."""
    source = st.lists(TOKENS, max_size=7).map(lambda ids: [*ids, 0])
    pairs = draw(st.lists(st.tuples(source, st.lists(TOKENS, max_size=9)), min_size=1, max_size=7))
    sources, targets = zip(*pairs, strict=True)
    return list(sources), list(targets)


def stepped(
    model: FloatModel, sources: Sequence[Sequence[int]], targets: Texts, keep: bool
) -> list[Float32]:
    """Decode one token after another.  A sentence leaves the batch after its last token."""
    weights = Weights(model.tensors, keep)
    memory, state = encode(model, sources, weights), State()
    paths = [[model.generation.start, *target] for target in targets]
    found: list[list[Float32]] = [[] for _ in paths]
    alive = np.arange(len(paths))
    while alive.size:
        step = state.position
        previous = np.array([paths[i][step] for i in alive])
        for i, row in zip(alive, decode(model, memory, state, previous, weights), strict=True):
            found[i].append(row)
        rows = np.flatnonzero([len(paths[i]) > step + 1 for i in alive])
        memory, state, alive = memory.select(rows), state.select(rows), alive[rows]
    return [np.stack(rows) for rows in found]


def same(found: Sequence[Float32], expected: Sequence[Float32]) -> None:
    """Assert that the bits are equal, also those of zeros."""
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one.view(np.uint32), np.ascontiguousarray(other).view("u4"))


@pytest.mark.parametrize("kind", every_kind.KINDS)
@settings(max_examples=12)
@given(texts(), st.integers(0, 5), st.booleans())
def test_steps_are_the_whole(kind: str, given: tuple[Texts, Texts], seed: int, keep: bool) -> None:
    model = every_kind.random_model(kind, seed)
    sources, targets = given
    sources = sources if model.translates else [[] for _ in sources]
    same(stepped(model, sources, targets, keep), forced(model, sources, targets))


@pytest.mark.parametrize("kind", every_kind.KINDS)
@settings(max_examples=12)
@given(texts(), st.integers(0, 5), st.randoms(use_true_random=False))
def test_neighbours_change_no_bit(
    kind: str, given: tuple[Texts, Texts], seed: int, random: Random
) -> None:
    """A sentence alone, in the batch, and in the batch in another order."""
    model = every_kind.random_model(kind, seed)
    sources, targets = given
    sources = sources if model.translates else [[] for _ in sources]
    together = forced(model, sources, targets)
    for source, target, expected in zip(sources, targets, together, strict=True):
        same(forced(model, [source], [target]), [expected])
    order = list(range(len(sources)))
    random.shuffle(order)
    found = stepped(model, [sources[i] for i in order], [targets[i] for i in order], False)
    same(found, [together[i] for i in order])


def halves(model: FloatModel) -> FloatModel:
    """A model whose matrices are of bfloat16."""
    made = Tensors()
    for name in model.tensors:
        values = (model.tensors[name].view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        made.put(name, replace(Stored.of(values, name), bfloat16=True))
    return replace(model, tensors=made)


@pytest.mark.parametrize("kind", ["recurrent", "post-norm", "llama"])
def test_weights_of_16_bits_give_the_same_bits(kind: str) -> None:
    """Kept weights are packed in half of the bytes."""
    model = halves(every_kind.random_model(kind))
    assert Weights(model.tensors, keep=True).strips("output.weight").dtype == np.uint16
    sources = every_kind.sentences(model, 5, 0)
    targets = every_kind.sentences(model, 5, 1)
    sources = sources if model.translates else [[] for _ in sources]
    same(stepped(model, sources, targets, True), forced(model, sources, targets))


LARGE = every_kind.Sizes(width=40, heads=4, hidden=300, vocabulary=70, positions=64)


@pytest.mark.parametrize("kind", ["recurrent", "post-norm", "integer, degree 4", "llama"])
def test_threads_change_no_bit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several strips of weights, blocks of rows and chunks of sentences."""
    model = every_kind.random_model(kind, sizes=LARGE, fill=every_kind.trained)
    sources, targets = (every_kind.sentences(model, 40, seed, 20) for seed in (0, 1))
    sources = sources if model.translates else [[] for _ in sources]
    found = []
    for count in (1, 2):
        monkeypatch.setattr(threads, "processors", lambda count=count: count)
        found.append(forced(model, sources, targets))
        same(stepped(model, sources, targets, True), found[0])
    same(found[1], found[0])


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_hypotheses_that_repeat(kind: str) -> None:
    """A beam repeats and reorders its rows.  Each row goes on as if it were alone."""
    model = every_kind.random_model(kind)
    source = [[4, 5, 0], [6, 0]] if model.translates else [[], []]
    weights = Weights(model.tensors, keep=True)
    memory, state = encode(model, source, weights), State()
    first: NDArray[np.int64] = np.full(2, model.generation.start)
    decode(model, memory, state, first, weights)
    decode(model, memory, state, np.array([7, 8]), weights)
    rows = np.array([1, 0, 1, 1])
    memory, state = memory.select(rows), state.select(rows)
    found = decode(model, memory, state, np.array([3, 4, 5, 6]), weights)
    targets = [[8, 3], [7, 4], [8, 5], [8, 6]]
    expected = forced(model, [source[row] for row in rows], targets)
    same(list(found), [logits[-1] for logits in expected])
