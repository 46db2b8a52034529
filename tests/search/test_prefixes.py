"""Searches after given tokens: they equal the definition, and both engines agree."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from int8ref.search import BeamOptions, Hypothesis, forced
from int8ref.search.beam import beam
from int8ref.search.decoder import Scorer
from int8ref.search.request import Path, Request
from tests.helpers.models import Kind
from tests.helpers.searches import SIZES, batches_of, beam_options
from tests.helpers.tiny_engines import MODELS, VOCABULARY, both, sources_of
from tests.search.oracle import EOS, TableEngine, beam_by_definition, tables

options = beam_options(SIZES)


def batches(kind: Kind, restricted: bool = False) -> st.SearchStrategy[list[Request]]:
    return batches_of(sources_of(kind), VOCABULARY, restricted=restricted)


def scored(
    scorer: Scorer, batch: list[Request], found: list[list[Hypothesis]], options: BeamOptions
) -> list[Hypothesis]:
    """Score the hypotheses of each request as paths after its prefix."""
    start, eos = scorer.program.start, scorer.program.eos
    paths = [
        Path(request.ids, start, (*h.ids, eos) if h.complete else h.ids, request.prefix)
        for request, hypotheses in zip(batch, found, strict=True)
        for h in hypotheses
    ]
    return forced.score(scorer, paths, options)


@settings(max_examples=200)
@given(tables, batches_of(st.lists(st.integers(0, 9), max_size=2), 2, 6), options)
def test_a_beam_is_its_definition(
    table: TableEngine, batch: list[Request], options: BeamOptions
) -> None:
    found = beam(table, batch, options)
    for request, hypotheses in zip(batch, found, strict=True):
        given = request.ids, request.limit, options, request.prefix
        assert hypotheses == beam_by_definition(table, *given)
    assert scored(table, batch, found, options) == list(chain.from_iterable(found))


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=30)
@given(data=st.data(), options=options)
def test_both_engines_find_the_same(kind: Kind, data: st.DataObject, options: BeamOptions) -> None:
    """The prefixes of a batch have different lengths.  Some requests have candidates.

    The result of a request depends only on the request.
    """
    batch = data.draw(batches(kind, restricted=True), "batch")
    reference, compiled = both(kind)
    found = compiled.beam(batch, options)
    assert found == reference.beam(batch, options)
    assert found == [compiled.beam([request], options)[0] for request in batch]
    for request, hypotheses in zip(batch, found, strict=True):
        for hypothesis in hypotheses:
            assert len(hypothesis.tokens) == len(hypothesis.ids) + hypothesis.complete
            assert len(hypothesis.tokens) <= request.limit
            if request.candidates is not None:
                assert set(hypothesis.ids) <= set(request.candidates.tolist())
    greedy = compiled.greedy(batch)
    assert greedy == reference.greedy(batch)
    assert greedy == [list(best.ids) for (best,) in compiled.beam(batch, BeamOptions(1))]


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=30)
@given(data=st.data(), options=options)
def test_scores_are_those_of_the_path(
    kind: Kind, data: st.DataObject, options: BeamOptions
) -> None:
    """Forced decoding gives equal numbers for the tokens after the prefix, complete or cut."""
    batch = data.draw(batches(kind), "batch")
    found = both(kind)[1].beam(batch, options)
    for engine in both(kind):
        assert scored(engine, batch, found, options) == list(chain.from_iterable(found))


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=20)
@given(data=st.data())
def test_paths_count_the_tokens_after_their_prefix(kind: Kind, data: st.DataObject) -> None:
    batch = data.draw(batches(kind), "batch")
    tokens = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6)
    start = MODELS[kind].program.start
    paths = [Path(request.ids, start, data.draw(tokens), request.prefix) for request in batch]
    reference, compiled = both(kind)
    found = compiled.log_probabilities(paths)
    assert found == reference.log_probabilities(paths)
    whole = [replace(path, tokens=(*path.prefix, *path.tokens), prefix=()) for path in paths]
    for path, gains, every in zip(paths, found, compiled.log_probabilities(whole), strict=True):
        assert gains == every[len(path.prefix) :]


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_search_continues_what_it_began(kind: Kind, data: st.DataObject) -> None:
    """After the first tokens of a greedy translation, the search finds its other tokens."""
    batch = [replace(request, prefix=()) for request in data.draw(batches(kind), "batch")]
    reference, compiled = both(kind)
    whole = reference.greedy(batch)
    begun = [
        (request, ids, data.draw(st.integers(1, len(ids))))
        for request, ids in zip(batch, whole, strict=True)
        if len(ids) > 1
    ]
    begun = [(request, ids, k) for request, ids, k in begun if k < request.limit]
    assume(begun)
    asked = [replace(r, prefix=ids[:k], limit=r.limit - k) for r, ids, k in begun]
    for engine in (reference, compiled):
        assert engine.greedy(asked) == [ids[k:] for _, ids, k in begun]


def test_the_prefix_is_read() -> None:
    """Checks that the tests above are meaningful: other prefixes give other translations."""
    reference, compiled = both("recurrent")
    asked = [Request([5, 9, 3, 0], 9, prefix) for prefix in ([], [4], [7, 4], [4, 7], [30] * 5)]
    for engine in (reference, compiled):
        assert len({tuple(ids) for ids in engine.greedy(asked)}) > 3
        found = engine.beam(asked, BeamOptions(4, 4))
        assert len({best.tokens for best, *_ in found}) == len(asked)
        assert {h.complete for hypotheses in found for h in hypotheses} == {True, False}


def test_eos_in_a_prefix_ends_nothing() -> None:
    reference, compiled = both("recurrent")
    asked = [Request([5, 9, 3, 0], 9, prefix) for prefix in ([EOS], [4, EOS, EOS], [EOS, 7])]
    assert reference.beam(asked, BeamOptions(3, 3)) == compiled.beam(asked, BeamOptions(3, 3))
    assert any(reference.greedy(asked))


@pytest.mark.parametrize("kind", MODELS)
def test_more_rows_than_are_read_at_once(kind: Kind) -> None:
    """Prefixes of any length.  Some sentences end before others begin."""
    source = bool(MODELS[kind].program.encoder)
    candidates = np.arange(0, VOCABULARY, 3, dtype=np.int32)
    batch = [
        Request(
            [1 + i % 30, 9, 0] if source else [],
            1 + i % 12,
            [(3 * i + j) % VOCABULARY for j in range(i * 7 % 11)],
            candidates if i % 3 == 1 else None,
        )
        for i in range(60)
    ]
    reference, compiled = both(kind)
    chosen: Any = BeamOptions(3, 2, "gnmt", 60)
    assert compiled.beam(batch, chosen) == reference.beam(batch, chosen)
    assert compiled.greedy(batch) == reference.greedy(batch)
