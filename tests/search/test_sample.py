"""Sampling on both engines: any batch, any model; no text depends on its neighbours."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.engines.engine import Engine
from int8ref.search.hypothesis import Sampling
from int8ref.search.sampling import drawn, random_numbers, weights
from int8ref.spec.limits import ALL
from tests.conftest import build_tiny_model
from tests.helpers.engines import requests
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


@st.composite
def requests(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    count = draw(st.integers(1, 5))

    def each(strategy: st.SearchStrategy[Any]) -> list[Any]:
        return [draw(strategy) for _ in range(count)]

    ids = st.lists(st.integers(1, VOCABULARY - 1), max_size=6)
    return {
        "batch": each(ids.map(lambda s: [*s, 0]) if kind == "recurrent" else st.just([])),
        "limits": each(st.integers(1, 9)),
        "texts": each(st.integers(0, 2**44 - 1)),
        "prefixes": each(ids),
    }


def alone(kind: str, sampling: Sampling, source: list[int], limit: int, text: int,
          prefix: list[int]) -> list[int]:  # fmt: skip
    """One text by itself, a step at a time, on the reference."""
    engine, _ = both(kind)
    program = engine.program
    session = engine.session([source])
    out: list[int] = []
    for token in [program.start, *prefix]:
        logits = session.step(np.array([token], np.int32))
    for number in random_numbers(sampling.seed, [text], limit)[0].tolist():
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
    given = data.draw(requests(kind))
    wanted = [alone(kind, sampling, *one) for one in zip(*given.values(), strict=True)]
    for engine in both(kind):
        assert engine.sample(sampling=sampling, **given) == wanted


@pytest.mark.parametrize("kind", MODELS)
def test_texts_are_numbered_from_0(kind: str) -> None:
    batch = [[5, 0]] * 4 if kind == "recurrent" else [[]] * 4
    for engine in both(kind):
        found = engine.sample(requests(batch, [9] * 4), Sampling(200, seed=4))
        assert found == engine.sample(
            requests(batch, [9] * 4, prefixes=[[]] * 4, numbers=range(4)), Sampling(200, seed=4)
        )
        assert len({tuple(ids) for ids in found}) > 1


def test_the_least_temperature_is_nearly_greedy() -> None:
    for engine in both("recurrent"):
        batch = [[i, 9 + i, 0] for i in range(1, 20)]
        found = engine.sample(requests(batch, [9] * 19), Sampling(1, seed=4))
        assert sum(map(list.__eq__, found, engine.greedy(requests(batch, [9] * 19)))) >= 18


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"texts": [0]}, "1 numbers for 2 sentences"),
        ({"texts": [0, 2**44]}, "a text has the number 17592186044416"),
        ({"texts": [0, -1]}, "a text has the number -1"),
        ({"prefixes": [[]]}, "1 prefixes for 2 sentences"),
        ({"limits": [3, 0]}, "limit"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    for engine in both("decoder"):
        with pytest.raises(ValueError, match=message):
            engine.sample(
                **({"batch": [[], []], "limits": [3, 3], "sampling": Sampling()} | fields)
            )
