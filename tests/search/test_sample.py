"""Sampling on both engines: any batch, any model.  No text depends on its neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.search.hypothesis import Sampling
from int8ref.search.request import Request
from int8ref.search.sampling import drawn, random_numbers, weights
from int8ref.spec.limits import ALL
from tests.helpers.models import Kind
from tests.helpers.tiny_engines import MODELS, VOCABULARY, both, sources_of

samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([1, 70, 100, 300, 10_000]),
    top_k=st.sampled_from([0, 1, 5, VOCABULARY, 2**31]),
    top_p=st.sampled_from([ALL, 90, 1]),
    seed=st.integers(0, 2**63 - 1),
)


def requests_of(kind: Kind) -> st.SearchStrategy[list[Request]]:
    request = st.builds(
        Request,
        ids=sources_of(kind),
        limit=st.integers(1, 9),
        prefix=st.lists(st.integers(1, VOCABULARY - 1), max_size=6),
        number=st.integers(0, 2**44 - 1),
    )
    return st.lists(request, min_size=1, max_size=5)


def alone(kind: Kind, sampling: Sampling, request: Request) -> list[int]:
    """Draw one text alone, one step at a time, on the reference."""
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
    kind: Kind, data: st.DataObject, sampling: Sampling
) -> None:
    asked = data.draw(requests_of(kind))
    wanted = [alone(kind, sampling, request) for request in asked]
    for engine in both(kind):
        assert engine.sample(asked, sampling) == wanted


@pytest.mark.parametrize("kind", MODELS)
def test_texts_of_other_numbers_are_other_texts(kind: Kind) -> None:
    ids = [5, 0] if MODELS[kind].program.encoder else []
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
