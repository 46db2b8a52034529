"""Greedy search takes the likeliest token, and sampling draws tokens, whatever the batch."""

from __future__ import annotations

import math
from dataclasses import replace

import every_kind
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from textbook import textbook

from int8ref.search.sampling import random_numbers
from weights_import.arithmetic.distribution import drawn
from weights_import.float_model import FloatModel
from weights_import.float_search import batches, greedy, sample
from weights_import.forward import forced

SOURCES = st.lists(
    st.lists(st.integers(1, 10), max_size=6).map(lambda ids: [*ids, 0]), min_size=1, max_size=4
)


def ending(kind: str, seed: int) -> FloatModel:
    """Return a model that may end a text."""
    model = every_kind.random_model(kind, seed)
    if "output.bias" in model.tensors:
        model.tensors["output.bias"][model.generation.eos] = 0.5
    return model


def likeliest(kind: str, model: FloatModel, source: list[int], limit: int) -> list[int]:
    """Return the greedy translation by the textbook, or assume that no two tokens are alike."""
    found: list[int] = []
    for _ in range(limit):
        book = textbook(model.tensors, every_kind.norm_of(kind), every_kind.shape_of(kind))
        last = book.logits(source, [model.generation.start, *found])[-1].tolist()
        best, second = sorted(last)[:-3:-1]
        assume(best - second > 1e-2)
        if last.index(best) == model.generation.eos:
            break
        found.append(last.index(best))
    return found


@pytest.mark.parametrize("kind", ["recurrent", "post-norm", "integer, degree 4"])
@settings(max_examples=10)
@given(SOURCES, st.integers(0, 5), st.integers(1, 3), st.sampled_from([0.3, 1.0, 2.5]))
def test_greedy_takes_the_likeliest_token_whatever_the_batch(
    kind: str, sources: list[list[int]], seed: int, batch_size: int, factor: float
) -> None:
    model = ending(kind, seed)
    limits = [max(1, math.floor(factor * len(source))) for source in sources]
    expected = [likeliest(kind, model, *pair) for pair in zip(sources, limits, strict=True)]
    assert greedy(model, sources, factor, batch_size=batch_size) == expected


def test_the_models_own_factor_limits_a_translation() -> None:
    model = every_kind.random_model("pre-norm", max_length_factor=1.5)
    sources = [[4, 5, 6, 0], [7, 0], [0]]
    assert [len(ids) for ids in greedy(model, sources)] == [6, 3, 1]
    assert [len(ids) for ids in greedy(model, sources, 0.1)] == [1, 1, 1]


def test_positions_limit_a_translation() -> None:
    model = every_kind.random_model("post-norm")
    (found,) = greedy(model, [[*[4] * 20, 0]], 100)
    assert len(found) == every_kind.TINY.positions


def test_without_ends() -> None:
    """The likeliest token but eos is chosen, until the limit."""
    model = every_kind.random_model("recurrent")
    model.tensors["output.bias"][0] = 1e6
    sources = [[4, 5, 6, 0], [7, 0]]
    assert greedy(model, sources, 1) == [[], []]
    found = greedy(model, sources, 1, ends=False)
    assert [len(ids) for ids in found] == [4, 2]
    model.tensors["output.bias"][0] = -1e6
    assert greedy(model, sources, 1) == found


@pytest.mark.parametrize("seed", [0, 9])
@pytest.mark.parametrize("kind", ["llama", "decoder, tanh"])
def test_sampling_draws_tokens(kind: str, seed: int) -> None:
    model = ending(kind, 3)
    texts = sample(model, 12, 15, seed)
    random = random_numbers(seed, range(12), 15)
    eos = model.generation.eos
    for text, numbers, logits in zip(texts, random, forced(model, [[]] * 12, texts), strict=True):
        steps = min(len(text) + 1, 15)
        tokens = drawn(logits[:steps], np.array(numbers[:steps], np.int32)).tolist()
        assert tokens == [*text, eos][:15]
    assert any(len(text) < 15 for text in texts)
    assert sample(model, 5, 15, seed) == texts[:5]


def test_positions_limit_a_sample() -> None:
    model = every_kind.random_model("decoder, tanh")
    model.tensors["output.bias"][0] = -1e6
    assert {len(text) for text in sample(model, 3, 100)} == {every_kind.TINY.positions}


@given(st.lists(st.integers(0, 30)), st.integers(1, 5))
def test_batches(lengths: list[int], size: int) -> None:
    """Sentences of one length stay in their order."""
    found = list(batches(lengths, size))
    assert [len(batch) for batch in found[:-1]] == [size] * (len(found) - 1)
    joined = [i for batch in found for i in batch]
    assert joined == sorted(range(len(lengths)), key=lambda i: (lengths[i], i))


def test_nothing_to_translate() -> None:
    assert greedy(every_kind.random_model("recurrent"), []) == []


def test_sources_are_checked_before_the_first_batch() -> None:
    model = every_kind.random_model("recurrent")
    broken = replace(model, tensors=model.tensors.copy())
    del broken.tensors["source_embedding"]
    with pytest.raises(ValueError, match="source 1 is not framed by \\[\\] and"):
        greedy(broken, [[2, 0], [3]], batch_size=1)
    with pytest.raises(ValueError, match="source 0: a token id is outside"):
        greedy(broken, [[11, 0]])
