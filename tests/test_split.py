"""Batches that are decoded in parts: the sizes of the parts, and equal results."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.engines.engine import Engine
from int8ref.machine.model import split
from int8ref.machine.model.split import LEAST_ROWS, MOST_WEIGHTS, NEAR_BYTES, Footprint
from int8ref.search.hypothesis import BeamOptions
from int8ref.spec.scope import Domain
from tests.helpers.builder import WIDTH
from tests.helpers.engines import engines, paths, requests
from tests.helpers.models import DECODER_BATCH, Kind, build_tiny_model
from tests.helpers.tiny_engines import MODELS

BATCH = [[4 + i, 9, *range(3, 4 + i % 5), 0] for i in range(11)]

lengths = st.lists(st.integers(0, 400), max_size=70)


@given(lengths, st.integers(1, 500), st.integers(1, 8), st.integers(0, 9000), st.integers(0, 9000))
def test_parts_are_even_and_no_smaller_than_need_be(
    lengths: list[int], limit: int, beam_size: int, step: int, token: int
) -> None:
    batch = requests([[1] * length for length in lengths], [limit] * len(lengths))
    parts = list(Footprint(MOST_WEIGHTS, step, token).split(batch, beam_size))
    rows = [len(part) for part in parts]
    assert [request for part in parts for request in part] == batch
    assert all(rows) or not batch
    size = rows[0]
    assert set(rows[:-1]) <= {size}
    assert rows[-1] <= size
    needed = sum(
        beam_size * step * min(limit, length or limit) + token * length for length in lengths
    )
    least = -(-LEAST_ROWS // beam_size)
    if len(rows) > 1:
        assert needed > NEAR_BYTES
        assert size >= least
    if size > least:  # fits, except for the rounding up to a whole sentence
        assert (size - 1) * needed <= len(batch) * NEAR_BYTES
    # A smaller number of parts would not fit.
    assert size * (needed + NEAR_BYTES) >= len(batch) * NEAR_BYTES


def test_large_weights_are_read_once() -> None:
    batch = requests([[1] * 500] * 64, [500] * 64)
    near, far = (Footprint(weights, 2048, 2048) for weights in (MOST_WEIGHTS, MOST_WEIGHTS + 1))
    assert len(list(near.split(batch, 4))) > 1
    assert len(list(far.split(batch, 4))) == 1


def test_footprint() -> None:
    """Bytes of a token: each history has keys or values, and one layer attends to the source."""
    model = build_tiny_model(6, "translation")
    found = Footprint.of(model.program, model.tensors, {})
    names = {i.weight for i in model.program.decoder if i.op == "linear"}
    assert found.weights == sum(model.tensors[name].size for name in names)
    histories = [s for s in model.program.states if s.domain == "history"]
    assert found.step == sum(s.width for s in histories)
    assert found.token == 2 * WIDTH
    alone = Footprint.of((decoder := build_tiny_model(4, "decoder")).program, decoder.tensors, {})
    assert alone.step > 0
    assert alone.token == 0


@given(lengths, st.integers(1, 500), st.integers(1, 8), st.sampled_from([1, 99, 10_000, 1 << 26]))
def test_memory_of_a_part_is_bounded(
    lengths: list[int], limit: int, beam_size: int, size: int
) -> None:
    batch = requests([[1] * length for length in lengths], [limit] * len(lengths))
    bytes_of_rows: dict[Domain, int] = {"source": size, "target": 3 * size, "history": size}
    footprint = Footprint(0, 0, 0, bytes_of_rows)
    sentence = size * (max(lengths, default=0) + beam_size * (3 + limit))
    parts = list(footprint.split(batch, beam_size))
    assert [request for part in parts for request in part] == batch
    assert all(len(part) == 1 or len(part) * sentence <= 1 << 30 for part in parts)


@pytest.mark.parametrize("kind", ["translation", "decoder"])
@pytest.mark.parametrize("near", [1, 1500])
def test_no_result_tells_of_parts(kind: Kind, near: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS[kind]
    batch = BATCH if kind == "translation" else DECODER_BATCH[:1] * 11
    limits = [3 + 2 * (i % 4) for i in range(len(batch))]
    reference, compiled = engines(model)
    vocabulary = len(model.tensors["embeddings"])
    every = [np.arange(i % 2, vocabulary, 2, dtype=np.int32) for i in range(len(batch))]
    candidates = [np.union1d(ids, [model.program.eos]).astype(np.int32) for ids in every]
    options = BeamOptions(beam_size=3, n_best=2)
    starts = [1 + i for i in range(len(batch))]
    given = paths(batch, starts, [[2 + i, 5, 1][: 1 + i % 3] for i in range(len(batch))])
    prefixes = [[7, 4, 9, 2][: i % 5] for i in range(len(batch))]
    plain, some = requests(batch, limits), requests(batch, limits, candidates, prefixes)

    def everything(engine: Engine) -> list[object]:
        return [
            engine.greedy(plain),
            engine.greedy(some),
            engine.beam(plain, options),
            engine.beam(some, options),
            engine.log_probabilities(given),
        ]

    expected = everything(reference)
    monkeypatch.setattr(split, "NEAR_BYTES", near)
    footprint = Footprint.of(model.program, model.tensors, {})
    assert len(list(footprint.split(plain, 1))) > 1
    assert everything(compiled) == expected
