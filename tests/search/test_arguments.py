"""What an engine is given that it cannot take: both refuse it alike, with an error for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from int8ref.engines.backends import BACKENDS, load_engine
from int8ref.engines.engine import Engine
from int8ref.errors import UserError
from int8ref.search import BeamOptions, Sampling
from tests.conftest import POSITIONS, build_tiny_model
from tests.helpers.engines import paths, requests, score
from tests.machine_text import machine_text

MODEL = build_tiny_model(2)
ONE = [[5, 6, 0]]
VOCABULARY = len(MODEL.tensors["embeddings"])
BEAM = BeamOptions(2)
Call = Callable[[Engine], Any]


def stepped(ids: Any) -> Call:
    return lambda engine: engine.session(ONE).step(ids)


def selected(rows: Any) -> Call:
    return lambda engine: engine.session(ONE).select(rows)


def too_many_steps(engine: Engine) -> None:
    session = engine.session(ONE)
    for _ in range(POSITIONS + 1):
        session.step(np.array([5], np.int32))


POSITION = rf"of \d+ tokens: positions must lie in \[0, {POSITIONS}\)"
TOKEN = r"token ids must lie in \[-1, "
CASES: list[tuple[Call, type[Exception], str]] = [
    (lambda e: e.greedy(requests(ONE, [10], prefixes=[[5] * 600])), IndexError, POSITION),
    (
        lambda e: e.sample(requests(ONE, [10], prefixes=[[5] * 60]), Sampling()),
        IndexError,
        POSITION,
    ),
    (lambda e: e.greedy(requests(ONE, [POSITIONS + 1])), IndexError, POSITION),
    (lambda e: e.beam(requests(ONE, [600]), BEAM), IndexError, POSITION),
    (lambda e: score(e, ONE, [[5] * POSITIONS], BEAM), IndexError, POSITION),
    (lambda e: e.log_probabilities(paths(ONE, [-1], [[5] * 65])), IndexError, POSITION),
    (lambda e: e.greedy(requests([[5] * 65], [10])), IndexError, POSITION),
    (too_many_steps, IndexError, POSITION),
    (lambda e: e.greedy(requests([[VOCABULARY, 0]], [10])), IndexError, TOKEN),
    (lambda e: e.greedy(requests([[-2, 0]], [10])), IndexError, TOKEN),
    (lambda e: e.greedy(requests([[2**40, 0]], [10])), IndexError, TOKEN),
    (lambda e: e.log_probabilities(paths(ONE, [-9], [[5]])), IndexError, TOKEN),
    (stepped(np.array([VOCABULARY], np.int32)), IndexError, TOKEN),
    (stepped(np.array([-2], np.int32)), IndexError, TOKEN),
    (stepped(np.array([2**32], np.int64)), IndexError, TOKEN),
    (stepped(np.array([5.0])), ValueError, "float64 of shape"),
    (stepped(np.array([True])), ValueError, "bool of shape"),
    (stepped([5, 6]), ValueError, "as token ids of 1 rows"),
    (stepped(None), ValueError, "as token ids of 1 rows"),
    (selected(np.array([1])), IndexError, r"must lie in \[0, 1\)"),
    (selected(np.array([-1])), IndexError, r"must lie in \[0, 1\)"),
    (selected(np.array([0.0])), IndexError, "float64 of shape"),
    (selected(np.array([True])), IndexError, "bool of shape"),
    (lambda e: e.greedy(requests([[1.5, 0]], [10])), TypeError, "token ids are"),  # type: ignore[list-item]
    (lambda e: e.session([[1.5, 0]]), TypeError, "token ids are"),  # type: ignore[list-item]
    (lambda e: e.greedy(requests([["5", 0]], [10])), TypeError, "token ids are"),  # type: ignore[list-item]
    (lambda e: e.greedy(requests([[[5], [6, 7]]], [10])), TypeError, "token ids"),  # type: ignore[list-item]
    (lambda e: e.greedy(requests(["ab"], [10])), TypeError, "sentence 0 is 'ab'"),  # type: ignore[list-item]
    (lambda e: e.greedy(requests([5, 6], [10] * 2)), TypeError, "sentence 0 is 5"),  # type: ignore[list-item]
    (lambda e: e.greedy(requests(None, [10])), TypeError, "the batch is None"),  # type: ignore[arg-type]
    (lambda e: e.session("ab"), TypeError, "the batch is 'ab'"),  # type: ignore[arg-type]
    (lambda e: e.greedy(requests(ONE, None)), TypeError, "limits is None"),  # type: ignore[arg-type]
    (lambda e: e.beam(requests(ONE, 10), BEAM), TypeError, "limits is 10"),  # type: ignore[arg-type]
    (lambda e: e.greedy(requests(ONE, [1.5])), ValueError, r"a limit is 1\.5"),  # type: ignore[list-item]
    (lambda e: e.greedy(requests(ONE, [10], prefixes=3)), TypeError, "prefixes is 3"),  # type: ignore[arg-type]
    (lambda e: e.greedy(requests(ONE, [10], prefixes=[None])), TypeError, "prefix 0 is"),  # type: ignore[list-item]
    (lambda e: e.greedy(requests(ONE, [10], prefixes=[[1.5]])), ValueError, "prefix 0 has"),  # type: ignore[list-item]
    (
        lambda e: e.greedy(requests(ONE, [10], prefixes=[[-1]])),
        ValueError,
        "prefix 0 has the token id -1",
    ),
    (lambda e: e.greedy(requests(ONE, [10], prefixes=[[VOCABULARY]])), ValueError, "prefix 0 has"),
    (lambda e: score(e, ONE, [None], BEAM), TypeError, "target 0 is None"),  # type: ignore[list-item]
    (lambda e: e.log_probabilities(paths(ONE, [1.5], [[5]])), ValueError, "start 0 is"),  # type: ignore[list-item]
    (lambda e: e.sample(requests(ONE, [5], numbers=[1.5]), Sampling()), ValueError, "number 1.5"),  # type: ignore[list-item]
    (lambda e: e.greedy(requests(ONE, [5], [[1, 2]])), ValueError, "candidates are not"),  # type: ignore[list-item]
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_refuse_it(backend: Any) -> None:
    machine_text()
    engine = load_engine(MODEL.program, MODEL.tensors, backend)
    for call, kind, why in CASES:
        with pytest.raises(UserError, match=why) as caught:
            call(engine)
        assert isinstance(caught.value, kind)


@pytest.mark.parametrize("backend", BACKENDS)
def test_integers_of_numpy_are_integers(backend: Any) -> None:
    machine_text()
    engine = load_engine(MODEL.program, MODEL.tensors, backend)
    plain = engine.greedy(requests(ONE, [10], prefixes=[[5, 6]]))
    limits, prefixes = np.array([10]), [np.array([5, 6], np.int16)]
    assert engine.greedy(requests(np.array(ONE), limits, prefixes=prefixes)) == plain  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["temperature", "top_k", "top_p", "seed"])
@pytest.mark.parametrize("value", ["1", 1.5, None, True, float("nan")], ids=repr)
def test_sampling_is_told_in_integers(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"{name} is {value!r}, not an integer"):
        Sampling(**{name: value})
