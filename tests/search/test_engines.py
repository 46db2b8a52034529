"""Beam search and forced decoding: the compiled engine gives the hypotheses of the reference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.abi.hypotheses import BLOCK, CHOICE
from int8ref.engines.backends import BACKENDS, Backend
from int8ref.machine.loop.steps import HEAD_ROWS
from int8ref.program.validate import validate
from int8ref.search import BeamOptions, Hypothesis
from tests.helpers.engines import Batch, engines, requests, score
from tests.helpers.searches import SIZES, beam_options, limits_of
from tests.helpers.tiny_engines import MODEL, VOCABULARY, batches, compiled, engine_of, reference

BATCH = [[5, 9, 3, 0], [7, 0], [8, 6, 4, 2, 1, 0], [12, 4, 0]]


@settings(max_examples=60)
@given(batches, beam_options(SIZES), st.data())
def test_same_hypotheses(batch: Batch, options: BeamOptions, data: st.DataObject) -> None:
    asked = requests(batch, limits_of(batch, data))
    found = compiled().beam(asked, options)
    assert found == reference().beam(asked, options)
    for engine in (compiled(), reference()):
        again = score(engine, batch, [best[0].ids for best in found], options)
        for (best, *_), whole in zip(found, again, strict=True):
            assert best == whole if best.complete else best.tokens == whole.tokens[:-1]


@settings(max_examples=30)
@given(batches, beam_options(SIZES), st.data())
def test_same_scores(batch: Batch, options: BeamOptions, data: st.DataObject) -> None:
    """The targets are any tokens, and may be empty."""
    tokens = st.lists(st.integers(1, VOCABULARY - 1), max_size=20)
    targets = data.draw(st.lists(tokens, min_size=len(batch), max_size=len(batch)))
    found = score(compiled(), batch, targets, options)
    assert found == score(reference(), batch, targets, options)
    assert [list(h.ids) for h in found] == targets
    assert all(h.complete and len(h.tokens) == len(h.ids) + 1 for h in found)


@given(batches, st.data())
def test_a_beam_of_one_is_greedy(batch: Batch, data: st.DataObject) -> None:
    asked = requests(batch, limits_of(batch, data, 20))
    found = compiled().beam(asked, data.draw(beam_options(st.just(1))))
    assert [list(best.ids) for (best,) in found] == compiled().greedy(asked)


@settings(max_examples=30)
@given(batches, beam_options(SIZES), st.data())
def test_neighbours_and_order_change_nothing(
    batch: Batch, options: BeamOptions, data: st.DataObject
) -> None:
    asked = requests(batch, limits_of(batch, data, 20))
    alone = [compiled().beam([one], options)[0] for one in asked]
    order = data.draw(st.permutations(range(len(batch))))
    shuffled = compiled().beam([asked[i] for i in order], options)
    assert shuffled == [alone[i] for i in order]
    targets = [best[0].ids for best in alone]
    scored = [score(compiled(), [s], [t], options)[0] for s, t in zip(batch, targets, strict=True)]
    assert score(compiled(), batch, targets, options) == scored


def test_many_rows() -> None:
    """Hundreds of rows are added, copied and moved, more than have logits at once."""
    batch = [[1 + (i * j) % (VOCABULARY - 1) for j in range(i % 9)] + [0] for i in range(70)]
    limits = [1 + i % 17 for i in range(70)]
    assert len(batch) > HEAD_ROWS
    for options in (BeamOptions(8, 8, "length", 100), BeamOptions(5, 1, "none", 0)):
        asked = requests(batch, limits)
        found = compiled().beam(asked, options)
        assert found == reference().beam(asked, options)
        targets = [best[0].ids for best in found]
        scored = score(compiled(), batch, targets, options)
        assert scored == score(reference(), batch, targets, options)


def test_hypotheses_end_in_every_way() -> None:
    """Checks that the cases of the tests above include all ends."""
    batch = [[i, 9 + i, 3, 0] for i in range(1, 30)]
    options = BeamOptions(4, 4, "length", 100)
    found = reference().beam(requests(batch, [2 + i % 13 for i in range(29)]), options)
    kinds = [[h.complete for h in best] for best in found]
    assert [True] * 4 in kinds
    assert [True, False, False, False] in kinds
    lengths = {len(h.ids) for best in found for h in best if h.complete}
    assert len(lengths) > 3
    prefixes = [{h.ids[:3] for h in best} for best in found]
    assert any(len(p) > 1 for p in prefixes), "rows are copied"


@pytest.mark.parametrize("bias", [0, 1])
def test_ties(bias: int) -> None:
    """All logits are equal: lower ids and lower ranks win.

    With `bias`, eos is slightly more likely.
    """
    tensors = dict(MODEL.tensors)
    tensors["embeddings"] = np.zeros_like(tensors["embeddings"])
    tensors["logits.bias"] = np.zeros_like(tensors["logits.bias"])
    tensors["logits.bias"][0] = bias
    validate(MODEL.program, tensors)
    options = BeamOptions(5, 5, "length", 100)
    model = engines(type(MODEL)(**{**vars(MODEL), "tensors": tensors}))
    found = [engine.beam(requests(BATCH, [4, 1, 2, 7]), options) for engine in model]
    assert found[0] == found[1]
    assert found[0][1][0].ids == ()
    assert [h.ids for h in found[0][1]] == [(), (1,), (2,), (3,), (4,)]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_any_logits(seed: int) -> None:
    """Extreme weights and biases of the logits, and extreme factors of their logarithm."""
    random = np.random.default_rng(seed)
    tensors = dict(MODEL.tensors)
    for name in ("embeddings", "logits.bias"):
        kind = np.iinfo(tensors[name].dtype)
        choice = [-(2**30), -5, 0, 1, 2**30] if kind.bits == 32 else [kind.min, 0, 1, kind.max]
        tensors[name] = random.choice(choice, tensors[name].shape).astype(kind.dtype)
    scale = type(MODEL.program.log_softmax)(
        x="logits",
        multiplier=int(random.choice([1, 1 << 10, (1 << 30) - 1])),
        shift=int(random.choice([0, 20, 36])),
        out="log_softmax",
    )
    fields = {f: getattr(MODEL.program, f) for f in MODEL.program.__struct_fields__}
    program = type(MODEL.program)(**{**fields, "log_softmax": scale})
    validate(program, tensors)
    both = engines(type(MODEL)(**{**vars(MODEL), "program": program, "tensors": tensors}))
    options = BeamOptions(4, 3, "gnmt", 60)
    found = [engine.beam(requests(BATCH, [5, 5, 3, 9]), options) for engine in both]
    assert found[0] == found[1]
    targets = [h[0].ids for h in found[0]]
    assert score(both[0], BATCH, targets, options) == score(both[1], BATCH, targets, options)


def test_threads_share_an_engine() -> None:
    batches = [[[1 + (i + j) % (VOCABULARY - 1) for j in range(20)] + [0]] * 3 for i in range(12)]
    options = BeamOptions(4, 4, "length", 100)

    def work(batch: Batch) -> tuple[list[list[Hypothesis]], list[Hypothesis]]:
        found = compiled().beam(requests(batch, [30] * 3), options)
        return found, score(compiled(), batch, [best[0].ids for best in found], options)

    alone = [work(batch) for batch in batches]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            assert list(pool.map(work, batches)) == alone


@given(
    st.integers(1, 3 * BLOCK + 1),
    st.integers(1, 65),
    st.sampled_from([0, 2, 100, 2**31 - 1]),
    st.integers(0, 2**32 - 1),
)
def test_the_likeliest_of_a_row(width: int, count: int, spread: int, seed: int) -> None:
    """Few different logits give many ties.  The ends of the range occur."""
    from int8ref.machine.loop.choice import likeliest

    count = min(count, width)
    random = np.random.default_rng(seed)
    row = random.integers(-spread - (spread > 2), spread, width, endpoint=True).astype(np.int32)
    chosen = np.full(count, -7, CHOICE)
    likeliest(row, np.empty(-(-width // BLOCK), np.int64), chosen)
    order = sorted(range(width), key=lambda n: (-int(row[n]), n))[:count]
    assert chosen.tolist() == [(n, int(row[n])) for n in order]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "ids", [np.array([5], np.int32), [5], np.ones(3), np.ones((3, 1), np.int32)]
)
def test_a_step_takes_an_integer_for_each_row(backend: Backend, ids: Any) -> None:
    session = engine_of(backend).session([[4, 0]] * 3)
    with pytest.raises(ValueError, match="as token ids of 3 rows"):
        session.step(ids)
