"""Beam search on table models, compared with its definition and with all sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.reference.argmax import argmax
from int8ref.search import BeamOptions, Normalization
from int8ref.search.beam import beam
from tests.helpers.engines import Batch, requests, score
from tests.helpers.searches import beam_options, limits_of
from tests.search.oracle import (
    EOS,
    TableEngine,
    beam_by_definition,
    best,
    every_sequence,
    tables,
    tables_of,
)

SIZES = st.integers(1, 8)


batches = st.lists(st.lists(st.integers(0, 9), max_size=2), min_size=1, max_size=4)


@settings(max_examples=300)
@given(tables, batches, beam_options(SIZES), st.data())
def test_is_its_definition(
    table: TableEngine, batch: Batch, options: BeamOptions, data: st.DataObject
) -> None:
    """The definition ranks all candidates and never stops early.  So early stopping is exact."""
    limits = limits_of(batch, data, 7)
    found = beam(table, requests(batch, limits), options)
    assert found == [
        beam_by_definition(table, sentence, limit, options)
        for sentence, limit in zip(batch, limits, strict=True)
    ]


@settings(max_examples=60)
@given(st.data(), beam_options(st.just(64)))
def test_a_beam_that_prunes_nothing_finds_the_best_of_all(
    data: st.DataObject, options: BeamOptions
) -> None:
    """The n best scores are the n best scores of all sequences.

    The definition decides ties.  This list does not.
    """
    vocabulary, most = data.draw(st.sampled_from([(2, 6), (3, 5), (4, 3)]))
    assert vocabulary * (vocabulary - 1) ** (most - 1) <= 64, "candidates of a step"
    table = data.draw(tables_of(st.just(vocabulary)))
    limit = data.draw(st.integers(1, most))
    (found,) = beam(table, requests([[5]], [limit]), options)
    wanted = best(every_sequence(table, [5], limit), options)
    assert [(h.complete, h.score) for h in found] == [(h.complete, h.score) for h in wanted]
    everything = dict(every_sequence(table, [5], limit))
    for h in found:
        assert everything[(*h.ids, EOS) if h.complete else h.ids] == h.tokens
    assert len({(h.ids, h.complete) for h in found}) == len(found)


@given(tables, batches, st.data())
def test_a_beam_of_one_is_greedy(table: TableEngine, batch: Batch, data: st.DataObject) -> None:
    limits = limits_of(batch, data, 7)
    options = data.draw(beam_options(st.just(1)))
    for sentence, limit, (found,) in zip(
        batch, limits, beam(table, requests(batch, limits), options), strict=True
    ):
        ids: tuple[int, ...] = ()
        while len(ids) < limit:
            token = int(argmax(table.logits(sentence, ids)[None])[0])
            if token == EOS:
                break
            ids = (*ids, token)
        assert found.ids == ids
        assert found.complete == (len(found.tokens) > len(ids))


@given(tables, batches, beam_options(SIZES), st.data())
def test_forced_decoding_gives_the_same_numbers(
    table: TableEngine, batch: Batch, options: BeamOptions, data: st.DataObject
) -> None:
    """A complete hypothesis is equal.  A cut hypothesis has equal tokens."""
    for sentence, found in zip(
        batch, beam(table, requests(batch, limits_of(batch, data, 7)), options), strict=True
    ):
        again = score(table, [sentence] * len(found), [h.ids for h in found], options)
        for one, two in zip(found, again, strict=True):
            assert two.complete
            assert one == two if one.complete else one.tokens == two.tokens[:-1]


@given(tables, batches, beam_options(SIZES), st.data())
def test_neighbours_and_order_change_nothing(
    table: TableEngine, batch: Batch, options: BeamOptions, data: st.DataObject
) -> None:
    asked = requests(batch, limits_of(batch, data, 7))
    alone = [beam(table, [one], options)[0] for one in asked]
    order = data.draw(st.permutations(range(len(batch))))
    shuffled = beam(table, [asked[i] for i in order], options)
    assert shuffled == [alone[i] for i in order]


@given(tables, beam_options(st.integers(2, 8)), st.integers(1, 7))
def test_fewer_are_the_first_of_more(table: TableEngine, options: BeamOptions, limit: int) -> None:
    """n_best changes only the number of results, although the end of the search depends on it."""

    def n_best(n: int) -> Any:
        changed = BeamOptions(options.beam_size, n, options.normalization, options.alpha)
        return beam(table, requests([[3]], [limit]), changed)[0]

    most = n_best(options.beam_size)
    assert n_best(options.n_best) == most[: options.n_best]


@given(tables, beam_options(SIZES), st.integers(1, 7))
def test_the_result_is_in_order(table: TableEngine, options: BeamOptions, limit: int) -> None:
    (found,) = beam(table, requests([[3]], [limit]), options)
    keys = [(not h.complete, -h.score) for h in found]
    assert keys == sorted(keys)
    assert 1 <= len(found) <= options.n_best
    for h in found:
        assert EOS not in h.ids
        assert len(h.tokens) == len(h.ids) + h.complete <= limit
        assert h.complete or len(h.ids) == limit
        assert all(-(2**30) <= token <= 0 for token in h.tokens)


class Counting(TableEngine):
    """Stores its sessions."""

    def session(self, batch: Any) -> Any:
        self.last = super().session(batch)
        return self.last


@pytest.mark.parametrize(("normalization", "steps"), [("none", 2), ("length", 40)])
def test_stops_early_where_it_can(normalization: Normalization, steps: int) -> None:
    """If eos is likely at once, sums decide after a step or two.  Means may still rise."""
    engine = Counting(vocabulary=5, seed=1, spread=0, multiplier=1 << 20, eos_bonus=3)
    options = BeamOptions(64, 1, normalization, 100)
    (found,) = beam(engine, requests([[1]], [40]), options)
    assert found[0].ids == ()
    assert len(engine.last.steps) <= steps
    assert (len(engine.last.steps) <= 2) == (normalization == "none")


@pytest.mark.parametrize("limit", [3, 4, 5, 9])
def test_does_not_stop_while_the_best_may_still_come(limit: int) -> None:
    """eos is the most likely first token.  Any other token leads to certainty.

    With four such tokens, the whole sequence has the best mean.  No shorter hypothesis shows this.
    """

    class Late(TableEngine):
        def logits(self, sentence: Any, prefix: Any) -> Any:
            row = [1150, 0, 0, 0, 0] if not prefix else [0, 40_000, 0, 0, 0]
            return np.array(row if len(prefix) < 4 else [40_000, 0, 0, 0, 0], np.int32)

    engine = Late(vocabulary=5, seed=0, spread=0, multiplier=1 << 10, eos_bonus=0)
    options = BeamOptions(2, 1, "length", 50)
    (found,) = beam(engine, requests([[1]], [limit]), options)
    assert found == beam_by_definition(engine, [1], limit, options)
    assert found[0].ids == ((1, 1, 1, 1) if limit >= 5 else ())
    assert found[0].complete


def test_rows_leave_when_their_sentence_is_done() -> None:
    engine = Counting(vocabulary=4, seed=5, spread=3, multiplier=1 << 19, eos_bonus=-9)
    beam(engine, requests([[1], [2], [3]], [2, 6, 9]), BeamOptions(3, 3, "length", 100))
    assert engine.last.steps == [3, 9, 6, 6, 6, 6, 3, 3, 3]


def test_a_complete_hypothesis_comes_before_one_that_was_cut() -> None:
    """A cut hypothesis may be more likely, because a model that repeats itself is certain."""

    class Loop(TableEngine):
        def logits(self, sentence: Any, prefix: Any) -> Any:
            return np.array([-5, 20, -6], np.int32)

    engine = Loop(vocabulary=3, seed=0, spread=0, multiplier=1 << 20, eos_bonus=0)
    (found,) = beam(engine, requests([[1]], [2]), BeamOptions(3, 3, "length", 100))
    assert [(h.ids, h.complete) for h in found] == [((1,), True), ((), True), ((1, 1), False)]
    assert found[2].score > found[0].score > found[1].score
