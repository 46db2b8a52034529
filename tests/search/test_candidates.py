"""Searches that consider candidates alone: the engines agree, and nothing else is considered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from int8ref.search.candidates import Candidates

from int8ref.engines.engine import Engine
from int8ref.search import BeamOptions
from tests.helpers.engines import requests
from tests.search.test_beam import beam_options
from tests.search.test_engines import limits_of, sizes
from tests.test_machine import VOCABULARY, Batch, batches, compiled, reference

EVERY = np.arange(VOCABULARY, dtype=np.int32)


@st.composite
def candidates_of(draw: st.DrawFn, batch: Batch) -> Candidates:
    """Few or many tokens for each sentence, perhaps not even eos."""
    tokens = st.sets(st.integers(0, VOCABULARY - 1), min_size=1, max_size=VOCABULARY)
    return [np.array(sorted(draw(tokens)), np.int32) for _ in batch]


@settings(max_examples=60)
@given(batches, st.data())
def test_greedy_is_the_reference(batch: Batch, data: st.DataObject) -> None:
    limits, candidates = limits_of(batch, data), data.draw(candidates_of(batch))
    found = compiled().greedy(requests(batch, limits, candidates))
    assert found == reference().greedy(requests(batch, limits, candidates))
    for ids, tokens in zip(found, candidates, strict=True):
        assert set(ids) <= set(tokens.tolist())


@settings(max_examples=60)
@given(batches, beam_options(sizes), st.data())
def test_beam_is_the_reference(batch: Batch, options: BeamOptions, data: st.DataObject) -> None:
    limits, candidates = limits_of(batch, data), data.draw(candidates_of(batch))
    found = compiled().beam(requests(batch, limits, candidates), options)
    assert found == reference().beam(requests(batch, limits, candidates), options)
    for best, tokens in zip(found, candidates, strict=True):
        allowed = set(tokens.tolist())
        assert all(set(h.ids) <= allowed for h in best)
        assert all(0 in allowed for h in best if h.complete)


@settings(max_examples=20)
@given(batches, beam_options(sizes), st.data())
def test_all_tokens_as_candidates_change_nothing(
    batch: Batch, options: BeamOptions, data: st.DataObject
) -> None:
    limits, every = limits_of(batch, data), [EVERY] * len(batch)
    engine = compiled()
    assert engine.greedy(requests(batch, limits, every)) == engine.greedy(requests(batch, limits))
    assert engine.beam(requests(batch, limits, every), options) == engine.beam(
        requests(batch, limits), options
    )


@settings(max_examples=20)
@given(batches, beam_options(sizes), st.data())
def test_neighbours_change_nothing(batch: Batch, options: BeamOptions, data: st.DataObject) -> None:
    limits, candidates = limits_of(batch, data), data.draw(candidates_of(batch))
    engine, one = compiled(), [[index] for index in range(len(batch))]
    assert engine.greedy(requests(batch, limits, candidates)) == [
        engine.greedy(requests([batch[i]], [limits[i]], [candidates[i]]))[0] for (i,) in one
    ]
    assert engine.beam(requests(batch, limits, candidates), options) == [
        engine.beam(requests([batch[i]], [limits[i]], [candidates[i]]), options)[0] for (i,) in one
    ]


@pytest.mark.parametrize("engine", [compiled, reference])
@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (np.array([], np.int32), "at least one"),
        (np.array([1, 2]), "int32"),
        (np.array([[1]], np.int32), "vector"),
        (np.array([2, 1], np.int32), "rising"),
        (np.array([1, 1], np.int32), "rising"),
        (np.array([-1, 1], np.int32), "rising"),
        (np.array([0, VOCABULARY], np.int32), "rising"),
    ],
)
def test_impossible_candidates_are_refused(
    engine: object, tokens: np.ndarray[tuple[int, ...], np.dtype[np.int32]], told: str
) -> None:
    made: Engine = engine()  # type: ignore[operator]
    with pytest.raises(ValueError, match=told):
        made.greedy(requests([[5, 0]], [3], [tokens]))
    with pytest.raises(ValueError, match=told):
        made.beam(requests([[5, 0]], [3], [tokens]), BeamOptions())
    with pytest.raises(ValueError, match="candidates of 2 sentences for 1"):
        made.greedy(requests([[5, 0]], [3], [EVERY, EVERY]))
