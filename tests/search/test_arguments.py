"""Invalid arguments of an engine: both engines reject them with equal error messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import fields, replace

from int8ref.engines.backends import BACKENDS, load_engine
from int8ref.engines.engine import Engine
from int8ref.errors import UserError
from int8ref.search import BeamOptions, Sampling
from int8ref.search.adjustments import Adjustments
from int8ref.search.forced import score
from int8ref.search.request import Path, Request
from int8ref.spec.limits import MAX_STEPS, MAX_TEXTS
from tests.helpers.builder import POSITIONS
from tests.helpers.machine_text import machine_text
from tests.helpers.models import build_tiny_model

MODEL = build_tiny_model(2)
ONE = [[5, 6, 0]]
VOCABULARY = len(MODEL.tensors["embeddings"])
BEAM = BeamOptions(2)
REQUEST = Request(ONE[0], 10)
PATH = Path(ONE[0], -1, [5])
Call = Callable[[Engine], Any]

POSITION = rf"of \d+ tokens: positions must lie in \[0, {POSITIONS}\)"
TOKEN = r"token ids must lie in \[-1, "
Wrong = list[tuple[Any, type[Exception], str]]
"""Invalid values of a field, with their exception and message."""

IDS: Wrong = [
    (None, TypeError, "sentence 1 is None, not a sequence"),
    (5, TypeError, "sentence 1 is 5, not a sequence"),
    ("ab", TypeError, "sentence 1 is 'ab', not a sequence"),
    ([1.5, 0], TypeError, "token ids are"),
    (["5", 0], TypeError, "token ids are"),
    ([[5], [6, 7]], TypeError, "token ids are"),
    ([], ValueError, "a sentence tokens"),
    ([VOCABULARY, 0], IndexError, TOKEN),
    ([-2, 0], IndexError, TOKEN),
    ([2**40, 0], IndexError, TOKEN),
    ([5] * (POSITIONS + 1), IndexError, POSITION),
]
PREFIX: Wrong = [
    (None, TypeError, "prefix 1 is None, not a sequence"),
    (3, TypeError, "prefix 1 is 3, not a sequence"),
    ("ab", TypeError, "prefix 1 is 'ab', not a sequence"),
    ([1.5], ValueError, r"prefix 1 has the token id 1\.5"),
    ([True], ValueError, "prefix 1 has the token id True"),
    ([5, -1], ValueError, "prefix 1 has the token id -1"),
    ([VOCABULARY], ValueError, f"prefix 1 has the token id {VOCABULARY}"),
    ([5] * POSITIONS, IndexError, POSITION),
    ([5] * 600, IndexError, POSITION),
]
REQUESTS: dict[str, Wrong] = {
    "ids": IDS,
    "limit": [
        (None, ValueError, "a limit is None, not an integer"),
        (1.5, ValueError, r"a limit is 1\.5, not an integer"),
        ("3", ValueError, "a limit is '3', not an integer"),
        (True, ValueError, "a limit is True, not an integer"),
        (0, ValueError, r"a limit is 0, outside \[1, 131072\]"),
        (-1, ValueError, r"a limit is -1, outside \[1, 131072\]"),
        (MAX_STEPS + 1, ValueError, r"a limit is 131073, outside \[1, 131072\]"),
        (POSITIONS + 1, IndexError, POSITION),
        (600, IndexError, POSITION),
    ],
    "prefix": PREFIX,
    "candidates": [
        (5, ValueError, "candidates are not a vector"),
        ([1, 2], ValueError, "candidates are not a vector of int32"),
        (np.array([1, 2]), ValueError, "candidates are not a vector of int32"),
        (np.array([1.0], np.float32), ValueError, "candidates are not a vector of int32"),
        (np.array([[1]], np.int32), ValueError, "candidates are not a vector"),
        (np.array([], np.int32), ValueError, "with at least one token"),
        (np.array([2, 1], np.int32), ValueError, "candidates are not rising"),
        (np.array([1, 1], np.int32), ValueError, "candidates are not rising"),
        (np.array([-1, 1], np.int32), ValueError, "candidates are not rising"),
        (np.array([0, VOCABULARY], np.int32), ValueError, "candidates are not rising"),
    ],
    "number": [
        (None, ValueError, "a text has the number None"),
        (1.5, ValueError, r"a text has the number 1\.5"),
        (True, ValueError, "a text has the number True"),
        (-1, ValueError, "a text has the number -1"),
        (MAX_TEXTS, ValueError, "a text has the number 17592186044416"),
    ],
    "adjustments": [
        (5, TypeError, "adjustments 1 are 5, no Adjustments"),
        (Adjustments(suppressed=(VOCABULARY,)), ValueError, "suppressed has the token id"),
        (Adjustments(bias=((-1, 5),)), ValueError, "bias has the token id -1"),
        (Adjustments(continuations=((VOCABULARY,),)), ValueError, "a continuation has the token"),
    ],
}
PATHS: dict[str, Wrong] = {
    "ids": IDS,
    "start": [
        (None, ValueError, "start 1 is None, not an integer"),
        (1.5, ValueError, r"start 1 is 1\.5, not an integer"),
        (True, ValueError, "start 1 is True, not an integer"),
        (-2, IndexError, TOKEN),
        (VOCABULARY, IndexError, TOKEN),
        (2**40, IndexError, TOKEN),
    ],
    "tokens": [
        (None, TypeError, "path 1 is None, not a sequence"),
        (3, TypeError, "path 1 is 3, not a sequence"),
        ("ab", TypeError, "path 1 is 'ab', not a sequence"),
        ([], ValueError, "path 1 has 0 tokens, not 1 to 131072"),
        ([5] * (MAX_STEPS + 1), ValueError, "path 1 has 131073 tokens, not 1 to 131072"),
        ([1.5], ValueError, r"path 1 has the token id 1\.5"),
        ([True], ValueError, "path 1 has the token id True"),
        ([-1], ValueError, "path 1 has the token id -1"),
        ([5, VOCABULARY], ValueError, f"path 1 has the token id {VOCABULARY}"),
        ([5] * (POSITIONS + 1), IndexError, POSITION),
    ],
    "prefix": PREFIX,
}
BATCHES: Wrong = [
    (None, TypeError, "the batch is None, not a sequence of KIND"),
    (5, TypeError, "the batch is 5, not a sequence of KIND"),
    ("ab", TypeError, "the batch is 'ab', not a sequence of KIND"),
    ({}, TypeError, "the batch is {}, not a sequence of KIND"),
    (iter([REQUEST]), TypeError, "the batch is .*, not a sequence of KIND"),
    (ONE, TypeError, r"sentence 0 is \[5, 6, 0\], no KIND"),
    ([None], TypeError, "sentence 0 is None, no KIND"),
    ([], ValueError, "a batch needs sentences"),
]
SEARCHES: dict[str, Callable[[Engine, Any], Any]] = {
    "greedy": lambda engine, requests: engine.greedy(requests),
    "sample": lambda engine, requests: engine.sample(requests, Sampling()),
    "beam": lambda engine, requests: engine.beam(requests, BEAM),
}
SCORES: dict[str, Callable[[Engine, Any], Any]] = {
    "log_probabilities": lambda engine, paths: engine.log_probabilities(paths),
    "score": lambda engine, paths: score(engine, paths, BEAM),
}


def engine_of(backend: Any) -> Engine:
    machine_text()
    return load_engine(MODEL.program, MODEL.tensors, backend)


def refuses(call: Callable[[], Any], kind: type[Exception], why: str) -> None:
    with pytest.raises(UserError, match=why) as caught:
        call()
    assert isinstance(caught.value, kind)
    assert len(str(caught.value)) < 200


def test_every_field_is_tried() -> None:
    assert set(REQUESTS) == {field.name for field in fields(Request)}
    assert set(PATHS) == {field.name for field in fields(Path)}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", SEARCHES)
def test_fields_of_requests(method: str, backend: Any) -> None:
    """The batch also has a valid sentence."""
    engine, search = engine_of(backend), SEARCHES[method]
    for field, wrong in REQUESTS.items():
        for value, kind, why in wrong:
            batch = [REQUEST, replace(REQUEST, **{field: value})]
            refuses(lambda batch=batch: search(engine, batch), kind, why)  # type: ignore[misc]
    assert len(search(engine, [REQUEST])) == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", SCORES)
def test_fields_of_paths(method: str, backend: Any) -> None:
    engine, scored = engine_of(backend), SCORES[method]
    for field, wrong in PATHS.items():
        for value, kind, why in wrong:
            batch = [PATH, replace(PATH, **{field: value})]
            refuses(lambda batch=batch: scored(engine, batch), kind, why)  # type: ignore[misc]
    assert len(scored(engine, [PATH])) == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", [*SEARCHES, *SCORES])
def test_batches(method: str, backend: Any) -> None:
    engine, run = engine_of(backend), (SEARCHES | SCORES)[method]
    name, other = ("Request", PATH) if method in SEARCHES else ("Path", REQUEST)
    others: Wrong = [([other], TypeError, "sentence 0 is .*, no KIND")]
    for batch, kind, why in BATCHES + others:
        refuses(lambda batch=batch: run(engine, batch), kind, why.replace("KIND", name))  # type: ignore[misc]


def together(prefix: list[int], limit: int) -> Call:
    return lambda engine: engine.greedy([replace(REQUEST, limit=limit, prefix=prefix)])


def stepped(ids: Any) -> Call:
    return lambda engine: engine.session(ONE).step(ids)


def selected(rows: Any) -> Call:
    return lambda engine: engine.session(ONE).select(rows)


def too_many_steps(engine: Engine) -> None:
    session = engine.session(ONE)
    for _ in range(POSITIONS + 1):
        session.step(np.array([5], np.int32))


CASES: list[tuple[Call, type[Exception], str]] = [
    (together([5] * 60, 10), IndexError, POSITION),
    (too_many_steps, IndexError, POSITION),
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
    (lambda e: e.session([[1.5, 0]]), TypeError, "token ids are"),  # type: ignore[list-item]
    (lambda e: e.session("ab"), TypeError, "the batch is 'ab'"),  # type: ignore[arg-type]
    (lambda e: e.session([5, 6]), TypeError, "sentence 0 is 5"),  # type: ignore[list-item]
    (lambda e: e.session(None), TypeError, "the batch is None"),  # type: ignore[arg-type]
    (
        lambda e: e.sample([replace(REQUEST, candidates=np.array([0, 5], np.int32))], Sampling()),
        ValueError,
        "candidates are for a search",
    ),
    (lambda e: score(e, [PATH, replace(PATH, tokens=[0, 5])], BEAM), ValueError,
     "path 1 has the token id 0 before its last"),
]  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_refuse_it(backend: Any) -> None:
    engine = engine_of(backend)
    for call, kind, why in CASES:
        refuses(lambda call=call: call(engine), kind, why)  # type: ignore[misc]


@pytest.mark.parametrize("backend", BACKENDS)
def test_integers_of_numpy_are_integers(backend: Any) -> None:
    engine = engine_of(backend)
    plain, numpy = Request([5, 6, 0], 10, [5, 6], number=3), np.array([5, 6, 0])
    (limit, number), prefix = np.array([10, 3]), np.array([5, 6], np.int16)
    same = Request(numpy, limit, prefix, number=number)  # type: ignore[arg-type]
    for search in SEARCHES.values():
        assert search(engine, [same]) == search(engine, [plain])
    given = Path(numpy, np.int64(-1), prefix, prefix)  # type: ignore[arg-type]
    for scored in SCORES.values():
        assert scored(engine, [given]) == scored(engine, [Path([5, 6, 0], -1, [5, 6], [5, 6])])


@pytest.mark.parametrize("name", ["temperature", "top_k", "top_p", "seed"])
@pytest.mark.parametrize("value", ["1", 1.5, None, True, float("nan")], ids=repr)
def test_sampling_is_told_in_integers(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"{name} is {value!r}, not an integer"):
        Sampling(**{name: value})
