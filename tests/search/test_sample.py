"""Sampling on both engines: any batch, any model; no text depends on its neighbours."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.engines.engine import Engine
from int8ref.search.hypothesis import Sampling
from int8ref.search.request import Request
from int8ref.search.sampling import drawn, random_numbers, weights
from int8ref.spec.limits import ALL
from tests.conftest import build_tiny_model
from tests.test_machine import engines
from tests.tiny_integer import build_tiny_decoder, build_tiny_rotary

MODELS = {
    "recurrent": build_tiny_model(2),
    "decoder": build_tiny_decoder(4),
    "rotary": build_tiny_rotary(9),
}
VOCABULARY = len(MODELS["recurrent"].tensors["embeddings"])
samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([1, 70, 100, 300, 10_000]),
    top_k=st.sampled_from([0, 1, 5, VOCABULARY, 2**31]),
    top_p=st.sampled_from([ALL, 90, 1]),
    seed=st.integers(0, 2**63 - 1),
)


@cache
def both(kind: str) -> tuple[Engine, Engine]:
    """(reference, compiled)."""
    return engines(MODELS[kind])


def requests_of(kind: str) -> st.SearchStrategy[list[Request]]:
    ids = st.lists(st.integers(1, VOCABULARY - 1), max_size=6)
    request = st.builds(
        Request,
        ids=ids.map(lambda s: [*s, 0]) if kind == "recurrent" else st.just([]),
        limit=st.integers(1, 9),
        prefix=ids,
        number=st.integers(0, 2**44 - 1),
    )
    return st.lists(request, min_size=1, max_size=5)


def alone(kind: str, sampling: Sampling, request: Request) -> list[int]:
    """One text by itself, a step at a time, on the reference."""
    engine, _ = both(kind)
    program = engine.program
    session = engine.session([request.ids])
    out: list[int] = []
    for token in [program.start, *request.prefix]:
        logits = session.step(np.array([token], np.int32))
    for number in random_numbers(sampling.seed, [request.number], request.limit)[0].tolist():
        token = drawn(weights(logits, program.log_softmax, sampling)[0], number)
        if token == program.eos:
            break
        out.append(token)
        logits = session.step(np.array([token], np.int32))
    return out


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=25)
@given(data=st.data(), sampling=samplings)
def test_no_text_depends_on_its_neighbours(
    kind: str, data: st.DataObject, sampling: Sampling
) -> None:
    asked = data.draw(requests_of(kind))
    wanted = [alone(kind, sampling, request) for request in asked]
    for engine in both(kind):
        assert engine.sample(asked, sampling) == wanted


@pytest.mark.parametrize("kind", MODELS)
def test_texts_of_other_numbers_are_other_texts(kind: str) -> None:
    ids = [5, 0] if kind == "recurrent" else []
    for engine in both(kind):
        numbered = [Request(ids, 9, number=number) for number in range(4)]
        assert len({tuple(text) for text in engine.sample(numbered, Sampling(200, seed=4))}) > 1
        same = engine.sample([Request(ids, 9)] * 4, Sampling(200, seed=4))
        assert same == engine.sample(numbered[:1], Sampling(200, seed=4)) * 4


def test_the_least_temperature_is_nearly_greedy() -> None:
    for engine in both("recurrent"):
        asked = [Request([i, 9 + i, 0], 9, number=i) for i in range(1, 20)]
        found = engine.sample(asked, Sampling(1, seed=4))
        assert sum(map(list.__eq__, found, engine.greedy(asked))) >= 18
