"""Threads, neighbours and steps change no bit of any kind of model.

`test_decoding.py` draws small batches, which one thread computes.  The batches here are as large as
the tasks of threads, a sentence less, and a sentence more.
"""

from __future__ import annotations

from collections.abc import Sequence

import every_kind
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from int8ref.search.hypothesis import BeamOptions
from weights_import.arithmetic import threads
from weights_import.arithmetic.product import ROWS
from weights_import.float_model import FloatModel
from weights_import.float_search import beam, greedy, sample
from weights_import.forward import decode, encode, forced
from weights_import.operations.attention import CHUNK
from weights_import.run import State, Weights
from weights_import.tensors import Float32

SIZES = every_kind.Sizes(width=16, heads=4, hidden=270, vocabulary=40, positions=64)
"""The hidden layer has more strips than a task of a thread."""
COUNTS = st.sampled_from([1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
TARGETS = COUNTS.flatmap(
    lambda n: st.lists(st.lists(st.integers(0, 39), max_size=12), min_size=n, max_size=n)
)
Texts = list[list[int]]


def model_of(kind: str, seed: int = 3) -> FloatModel:
    return every_kind.random_model(kind, seed, sizes=SIZES, fill=every_kind.trained)


def sources_of(model: FloatModel, count: int, seed: int) -> Texts:
    if not model.translates:
        return [[] for _ in range(count)]
    return every_kind.sentences(model, count, seed, 15)


def stepped(model: FloatModel, sources: Texts, targets: Texts) -> list[Float32]:
    """Decode all sentences to the length of the longest one.

    After its last token, a sentence is fed with token 1, whose logits nobody reads.
    """
    weights = Weights(model.tensors)
    memory, state = encode(model, sources, weights), State()
    paths = [[model.generation.start, *target] for target in targets]
    longest = max(map(len, paths))
    rows = [
        decode(
            model, memory, state, np.array([(*path, *[1] * longest)[t] for path in paths]), weights
        )
        for t in range(longest)
    ]
    return [np.stack([row[i] for row in rows[: len(path)]]) for i, path in enumerate(paths)]


def bits(logits: Sequence[Float32]) -> list[bytes]:
    return [np.ascontiguousarray(rows).tobytes() for rows in logits]


@pytest.mark.parametrize("kind", every_kind.KINDS)
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(targets=TARGETS, seed=st.integers(0, 5))
def test_steps_in_any_threads_are_the_whole_of_each_sentence(
    kind: str, targets: Texts, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(kind, seed)
    sources = sources_of(model, len(targets), seed)
    monkeypatch.setattr(threads, "processors", lambda: 1)
    alone = [
        forced(model, [source], [target])[0]
        for source, target in zip(sources, targets, strict=True)
    ]
    assert all(rows.dtype == np.float32 for rows in alone)
    for count in (1, 2):
        monkeypatch.setattr(threads, "processors", lambda count=count: count)
        assert bits(forced(model, sources, targets)) == bits(alone)
        assert bits(stepped(model, sources, targets)) == bits(alone)


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_more_rows_than_a_block_of_a_product(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(kind)
    targets = [[2 + (i * j) % 38 for j in range(45)] for i in range(3 * ROWS // 45)]
    sources = sources_of(model, len(targets), 0)
    found = []
    for count in (1, 2):
        monkeypatch.setattr(threads, "processors", lambda count=count: count)
        found.append(bits(forced(model, sources, targets)))
    assert sum(len(target) + 1 for target in targets) > 2 * ROWS
    assert found[0] == found[1] == bits(stepped(model, sources, targets))


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_batches_and_threads_change_no_text(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Greedy translations and hypotheses with their scores, or texts that are drawn."""
    model, found = model_of(kind), []
    for count, size in ((1, 1), (1, 128), (2, 7), (2, 128)):
        monkeypatch.setattr(threads, "processors", lambda count=count: count)
        if model.translates:
            sources = sources_of(model, 9, 1)
            best = beam(model, sources, BeamOptions(beam_size=3), batch_size=size)
            found.append((greedy(model, sources, batch_size=size), best))
        else:
            found.append((sample(model, 9 if size > 7 else size, 20)[:1], []))
    assert all(one == found[0] for one in found)
