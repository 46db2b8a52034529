"""The float beam search: each hypothesis has the scores of a full forward pass, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_marian as tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.search.beam import Choices, SentenceSearch
from int8ref.search.hypothesis import BeamOptions, Hypothesis
from weights_import.arithmetic.distribution import log_probabilities
from weights_import.float_model import FloatModel
from weights_import.float_search import LOG2_E, beam, greedy
from weights_import.forward import forced

SOURCES = [[4, 5, 6, 0], [0], [7, 0], [3, 3, 8, 2, 9, 0], [10, 1, 0]]


def choices(model: FloatModel, source: list[int], prefix: tuple[int, ...]) -> Choices:
    """Return all tokens after a prefix, best first, from a separate forward pass."""
    logits = forced(model, [source], [prefix])[0][-1:]
    gains = np.rint(log_probabilities(logits)[0] * LOG2_E * 2**20).astype(int)
    order = sorted(range(len(gains)), key=lambda token: -logits[0, token])
    return [(token, min(int(gains[token]), 0)) for token in order]


def slow_beam(
    model: FloatModel, source: list[int], limit: int, options: BeamOptions
) -> list[Hypothesis]:
    search = SentenceSearch((0,), limit, options)
    while search.live:
        search.advance([choices(model, source, path.ids) for path in search.live])
    return search.best()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("recurrent", [True, False])
def test_follows_the_rules_on_float_logits(seed: int, batch_size: int, recurrent: bool) -> None:
    model = tiny.random_model(seed, recurrent=recurrent)
    options = BeamOptions(3, 3, "gnmt", 60)
    found = beam(model, SOURCES, options, 1.5, batch_size)
    limits = [max(1, len(source) * 3 // 2) for source in SOURCES]
    assert found == [
        slow_beam(model, source, limit, options)
        for source, limit in zip(SOURCES, limits, strict=True)
    ]


@settings(max_examples=15)
@given(st.integers(0, 1000), st.sampled_from([0.3, 1.0, 2.5]))
def test_a_beam_of_one_is_greedy(seed: int, factor: float) -> None:
    model = tiny.random_model(seed)
    found = beam(model, SOURCES, BeamOptions(1), factor)
    assert [list(best.ids) for (best,) in found] == greedy(model, SOURCES, factor)


def test_sources_are_checked() -> None:
    with pytest.raises(ValueError, match="source 0 is not framed by \\[\\] and"):
        beam(tiny.random_model(0), [[3]], BeamOptions())
    assert beam(tiny.random_model(0), [], BeamOptions()) == []
