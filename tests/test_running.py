"""Texts that enter and leave a running batch: the tokens of each text are those of a search."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from int8ref.engines.compiled import CompiledEngine
from int8ref.engines.engine import Engine
from int8ref.engines.running import RunningBatch
from int8ref.errors import UserError
from int8ref.search.hypothesis import Sampling
from int8ref.search.request import Request
from tests.helpers.models import Kind
from tests.helpers.tiny_engines import VOCABULARY, both, compiled

DECODERS: tuple[Kind, ...] = ("rotary", "capped")
DRAWING = Sampling(150, 0, 90, 0)
STEPS = 40


def requests(seed: int, count: int) -> list[Request]:
    """Return requests with prefixes of many lengths."""
    random = np.random.default_rng(seed)
    return [
        Request(
            (),
            limit=int(random.integers(1, 20)),
            prefix=tuple(random.integers(2, VOCABULARY, random.integers(0, 20)).tolist()),
            number=int(random.integers(0, 9)),
        )
        for _ in range(count)
    ]


def wanted(engine: Engine, request: Request, sampling: Sampling | None, seed: int) -> list[int]:
    """Return the tokens of a search for one text alone."""
    if sampling is None:
        return engine.greedy([request])[0]
    own = Sampling(sampling.temperature, sampling.top_k, sampling.top_p, seed)
    return engine.sample([request], own)[0]


def engine_of(kind: Kind) -> CompiledEngine:
    engine: Any = both(kind)[1]
    return engine


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize("sampling", [None, DRAWING], ids=["greedy", "drawn"])
def test_texts_that_enter_at_any_time_have_their_own_tokens(
    kind: Kind, sampling: Sampling | None
) -> None:
    """Each text is computed alone too: all by the compiled engine, some by the reference."""
    reference, engine = both(kind)[0], engine_of(kind)
    texts = [(request, place % 3) for place, request in enumerate(requests(1, 40))]
    batch = RunningBatch(engine, sampling, rows=3)
    places = [batch.enter(*text) for text in texts[:5]]

    def others() -> None:
        places.extend(batch.enter(*text) for text in texts[5:])

    thread = threading.Thread(target=others)
    thread.start()
    while batch.waits or thread.is_alive():
        batch.run()
    thread.join()
    while batch.waits:
        batch.run()
    found = batch.seen([place for place in places if place is not None])
    assert all(seen.ended for seen in found)
    for place, (seen, (request, seed)) in enumerate(zip(found, texts, strict=True)):
        alone = reference if place < 3 else engine
        assert seen.ids == wanted(alone, request, sampling, seed)


def test_a_text_can_enter_after_all_others_are_finished() -> None:
    batch = RunningBatch(engine_of("rotary"), None, rows=2)
    for request in requests(2, 4):
        place = batch.enter(request)
        assert place is not None
        batch.run()
        (seen,) = batch.seen([place])
        assert seen.ended
        assert seen.ids == both("rotary")[1].greedy([request])[0]
    assert not batch.waits


def test_a_text_that_is_ended_keeps_its_first_tokens() -> None:
    """The others are not disturbed."""
    batch, texts = RunningBatch(engine_of("decoder"), None, rows=4), requests(3, 6)
    places = [batch.enter(request) for request in texts]
    batch.end(1)
    batch.run()
    found = batch.seen([place for place in places if place is not None])
    whole = [both("decoder")[1].greedy([request])[0] for request in texts]
    assert [seen.ids for seen in found] == [*whole[:1], whole[1][:1], *whole[2:]]


def test_the_places_of_a_batch_are_limited() -> None:
    batch = RunningBatch(engine_of("decoder"), None, rows=1)
    while batch.enter(Request((), 1)) is not None:
        pass
    batch.run()
    assert not batch.waits
    assert batch.enter(Request((), 1)) is None


def test_requests_are_checked() -> None:
    batch = RunningBatch(engine_of("decoder"), None, rows=1)
    for request in (Request((), 0), Request((), 1, [VOCABULARY]), Request((), 8000)):
        with pytest.raises((UserError, IndexError)):
            batch.enter(request)
    assert not batch.waits


def test_other_programs_are_refused() -> None:
    engine: Any = compiled()
    with pytest.raises(ValueError, match="decoder with histories"):
        RunningBatch(engine, None, rows=1)
