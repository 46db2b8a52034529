"""Searches with candidates: the engines agree, and consider only the candidates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.search import BeamOptions
from tests.helpers.engines import Batch, requests
from tests.helpers.searches import SIZES, beam_options, candidates_of, limits_of
from tests.helpers.tiny_engines import VOCABULARY, batches, compiled, reference

EVERY = np.arange(VOCABULARY, dtype=np.int32)


def drawn(batch: Batch, data: st.DataObject) -> list[npt.NDArray[np.int32]]:
    """Draw the candidates of each sentence."""
    return [data.draw(candidates_of(VOCABULARY)) for _ in batch]


@settings(max_examples=60)
@given(batches, st.data())
def test_greedy_is_the_reference(batch: Batch, data: st.DataObject) -> None:
    limits, candidates = limits_of(batch, data), drawn(batch, data)
    asked = requests(batch, limits, candidates)
    found = compiled().greedy(asked)
    assert found == reference().greedy(asked)
    for ids, tokens in zip(found, candidates, strict=True):
        assert set(ids) <= set(tokens.tolist())


@settings(max_examples=60)
@given(batches, beam_options(SIZES), st.data())
def test_beam_is_the_reference(batch: Batch, options: BeamOptions, data: st.DataObject) -> None:
    limits, candidates = limits_of(batch, data), drawn(batch, data)
    asked = requests(batch, limits, candidates)
    found = compiled().beam(asked, options)
    assert found == reference().beam(asked, options)
    for best, tokens in zip(found, candidates, strict=True):
        allowed = set(tokens.tolist())
        assert all(set(h.ids) <= allowed for h in best)
        assert all(0 in allowed for h in best if h.complete)


@settings(max_examples=20)
@given(batches, beam_options(SIZES), st.data())
def test_all_tokens_as_candidates_change_nothing(
    batch: Batch, options: BeamOptions, data: st.DataObject
) -> None:
    limits, engine = limits_of(batch, data), compiled()
    plain, every = requests(batch, limits), requests(batch, limits, [EVERY] * len(batch))
    assert engine.greedy(every) == engine.greedy(plain)
    assert engine.beam(every, options) == engine.beam(plain, options)


@settings(max_examples=20)
@given(batches, beam_options(SIZES), st.data())
def test_neighbours_change_nothing(batch: Batch, options: BeamOptions, data: st.DataObject) -> None:
    engine, candidates = compiled(), drawn(batch, data)
    asked = requests(batch, limits_of(batch, data), candidates)
    assert engine.greedy(asked) == [engine.greedy([one])[0] for one in asked]
    assert engine.beam(asked, options) == [engine.beam([one], options)[0] for one in asked]
