"""The memory of calls: pieces do not overlap, and old content has no effect."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref.engines.engine import Engine
from int8ref.machine.memory.aligned import ALIGNMENT, Memory
from int8ref.search.hypothesis import BeamOptions
from tests.helpers.engines import engines, requests, score
from tests.helpers.models import Kind, build_tiny_model

shapes = st.lists(st.integers(0, 40), min_size=1, max_size=3).map(tuple)
kinds = st.sampled_from([np.int8, np.int32, np.int64])
BATCH = [[5, 9, 4, 0], [3, 0], [7, 7, 2, 11, 6, 0]]


@given(calls=st.lists(st.lists(st.tuples(shapes, kinds), max_size=8), max_size=4))
def test_pieces_share_nothing(calls: Any) -> None:
    memory = Memory()
    for call in calls:
        pieces = [(*memory.array(shape, kind), shape, kind) for shape, kind in call]
        for number, (array, address, shape, kind) in enumerate(pieces):
            assert (array.shape, array.dtype) == (shape, kind)
            assert address == array.ctypes.data
            assert address % ALIGNMENT == 0
            array[...] = number
        for number, (array, *_) in enumerate(pieces):
            assert np.all(array == number)
        spans = sorted((at, at + array.nbytes) for array, at, *_ in pieces if array.size)
        assert all(stop <= start for (_, stop), (start, _) in pairwise(spans))
        memory.clear(1 << 20)


def test_the_next_call_has_the_same_memory_if_it_is_not_large() -> None:
    memory = Memory()
    memory.array((1000,), np.uint8)
    memory.clear(4096)
    _, first = memory.array((1000,), np.uint8)
    memory.clear(4096)
    assert memory.array((500,), np.uint8)[1] == first
    memory.array((100_000,), np.uint8)
    memory.clear(4096)
    kept, _ = memory.array((10,), np.uint8)
    assert kept.base is not None
    assert kept.base.nbytes < 4096


def results(engine: Engine) -> list[Any]:
    """Return the results of all functions that use the memory of a call."""
    options = BeamOptions(beam_size=3, n_best=3)
    beams = engine.beam(requests(BATCH, [9, 4, 12]), options)
    targets = [hypotheses[0].ids for hypotheses in beams]
    return [
        engine.greedy(requests(BATCH, [9, 4, 12])),
        engine.greedy(requests(BATCH[:2], [3, 7], [np.array([0, 3, 5, 8], np.int32)] * 2)),
        beams,
        score(engine, BATCH, targets, options),
        engine.session(BATCH).step(np.zeros(3, np.int32)).tolist(),
    ]


@pytest.mark.parametrize("byte", [0x00, 0x7F, 0xFF])
@pytest.mark.parametrize("kind", ["recurrent", "translation"])
def test_what_was_there_before_shows_nowhere(
    kind: Kind, byte: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, compiled = engines(build_tiny_model(6, kind))
    wanted = results(reference)
    given = Memory.array

    def dirty(self: Memory, shape: tuple[int, ...], kind: Any) -> tuple[NDArray[Any], int]:
        array, address = given(self, shape, kind)
        array.view(np.uint8)[...] = byte
        return array, address

    monkeypatch.setattr(Memory, "array", dirty)
    assert results(compiled) == wanted
    assert results(compiled) == wanted
