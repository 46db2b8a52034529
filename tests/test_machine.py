"""The compiled engine: every bit equals the reference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from int8ref.abi.frame import operands_at
from int8ref.abi.fused import LinearArgmax
from int8ref.engines.backends import BACKENDS, Backend, load_engine
from int8ref.engines.compiled import CompiledEngine
from int8ref.machine.memory.arena import ROW_ALIGNMENT, Arena
from int8ref.program.program import Program, Tensors
from int8ref.program.validate import validate
from int8ref.reference.linear import Linear
from int8ref.search import BeamOptions
from int8ref.spec.scope import ProgramError
from tests.helpers.engines import Batch, Trace, engines, follow, requests
from tests.helpers.memory import WatchedMemory
from tests.helpers.models import build_tiny_model
from tests.helpers.program_mutations import draw_valid, used_tensors
from tests.helpers.tiny_engines import MODEL, VOCABULARY, batches, compiled, engine_of, reference


@pytest.mark.parametrize("seed", range(3))
def test_every_value_is_equal(seed: int) -> None:
    model = build_tiny_model(seed)
    traces = Trace(), Trace()
    batch = [[5, 9, 3, 0], [7, 0], [*range(1, 30), 0]]
    for engine, trace in zip(engines(model), traces, strict=True):
        session = engine.session(batch, trace)
        follow(session, model.program.start, len(batch), 4)
    names = {n for i in [*model.program.encoder, *model.program.decoder] for n in i.names("result")}
    assert {name for name, _ in traces[0].seen} == names
    assert any(value.any() for name, value in traces[0].seen if name == "ssru")
    traces[0].assert_equal(traces[1])


@settings(max_examples=30)
@given(batches, st.integers(1, 5))
def test_any_batch(batch: Batch, steps: int) -> None:
    traces = Trace(), Trace()
    for engine, trace in zip((reference(), compiled()), traces, strict=True):
        follow(engine.session(batch, trace), -1, len(batch), steps)
    traces[0].assert_equal(traces[1])


@settings(max_examples=30)
@given(batches, st.data())
def test_greedy(batch: Batch, data: st.DataObject) -> None:
    limits = data.draw(
        st.lists(st.integers(1, 14), min_size=len(batch), max_size=len(batch)), "limits"
    )
    asked = requests(batch, limits)
    found = compiled().greedy(asked)
    assert found == reference().greedy(asked)
    assert all(len(ids) <= most for ids, most in zip(found, limits, strict=True))


@settings(max_examples=30)
@given(batches, st.data())
def test_greedy_after_prefixes(batch: Batch, data: st.DataObject) -> None:
    """A prefix may have any tokens, also eos.

    After the first tokens of a result as a prefix, the search finds the other tokens.
    """
    limits = [data.draw(st.integers(1, 9)) for _ in batch]
    tokens = st.lists(st.integers(0, VOCABULARY - 1), max_size=5)
    prefixes = [data.draw(tokens) for _ in batch]
    asked = requests(batch, limits, prefixes=prefixes)
    found = compiled().greedy(asked)
    assert found == reference().greedy(asked)
    assert all(len(ids) <= most for ids, most in zip(found, limits, strict=True))
    whole = reference().greedy(requests(batch, [9] * len(batch)))
    cuts = [data.draw(st.integers(0, max(len(ids) - 1, 0))) for ids in whole]
    begun = [ids[:cut] for ids, cut in zip(whole, cuts, strict=True)]
    rest = [ids[cut:] for ids, cut in zip(whole, cuts, strict=True)]
    left = [9 - cut for cut in cuts]
    for engine in (reference(), compiled()):
        assert engine.greedy(requests(batch, left, prefixes=begun)) == rest


def test_greedy_ends_by_eos_and_by_limit() -> None:
    """Checks that the cases of `test_greedy` include both ends."""
    batch = [[i, 9 + i, 3, 0] for i in range(1, 30)]
    lengths = {len(ids) for ids in reference().greedy(requests(batch, [14] * len(batch)))}
    assert 14 in lengths
    assert len(lengths) > 3


@settings(max_examples=20)
@given(batches)
def test_observation_changes_nothing(batch: Batch) -> None:
    for engine in (reference(), compiled()):
        watched = follow(engine.session(batch, Trace()), -1, len(batch), 3)
        alone = follow(engine.session(batch), -1, len(batch), 3)
        np.testing.assert_array_equal(watched, alone)


def test_an_observer_cannot_write_into_the_machine() -> None:
    batch = [[5, 9, 3, 0]]

    def vandal(name: str, value: NDArray[Any]) -> None:
        value[...] = 0

    watched = follow(compiled().session(batch, vandal), -1, 1, 3)
    alone = follow(compiled().session(batch), -1, 1, 3)
    np.testing.assert_array_equal(watched, alone)


@settings(max_examples=20)
@given(batches, st.randoms(use_true_random=False))
def test_order_and_neighbours_change_nothing(batch: Batch, random: Any) -> None:
    order = list(range(len(batch)))
    random.shuffle(order)
    asked = requests(batch, [2 * len(sentence) for sentence in batch])
    alone = [compiled().greedy([one])[0] for one in asked]
    shuffled = compiled().greedy([asked[i] for i in order])
    assert shuffled == [alone[i] for i in order]


@settings(max_examples=20)
@given(batches, st.data())
def test_select_drops_repeats_and_grows(batch: Batch, data: st.DataObject) -> None:
    sessions = [engine.session(batch) for engine in (reference(), compiled())]
    rows = len(batch)
    for _ in range(4):
        ids = np.array(
            data.draw(st.lists(st.integers(-1, VOCABULARY - 1), min_size=rows, max_size=rows)),
            np.int32,
        )
        logits = [session.step(ids) for session in sessions]
        np.testing.assert_array_equal(logits[0], logits[1])
        chosen = np.array(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=40)))
        for session in sessions:
            session.select(chosen)
        rows = len(chosen)


def test_select_follows_its_rows() -> None:
    """A moved or copied row continues as the original row."""
    batch = [[5, 9, 3, 0], [7, 0], [12, 4, 0]]
    ids = np.array([[3, 4, 5], [6, 7, 8]], np.int32)
    for engine in (reference(), compiled()):
        plain, moved = engine.session(batch), engine.session(batch)
        plain.step(ids[0])
        moved.step(ids[0])
        chosen = np.array([2, 0, 2, 1] * 9)
        moved.select(chosen)
        np.testing.assert_array_equal(moved.step(ids[1][chosen]), plain.step(ids[1])[chosen])


@pytest.mark.parametrize("length", [1, 63, 64])
def test_long_sentences(length: int) -> None:
    batch = [[1 + i % (VOCABULARY - 1) for i in range(length - 1)] + [0], [4, 0]]
    logits = [follow(engine.session(batch), -1, 2, 64) for engine in (reference(), compiled())]
    np.testing.assert_array_equal(logits[0], logits[1])
    asked = requests(batch, [64, 1])
    assert reference().greedy(asked) == compiled().greedy(asked)


def test_large_batches() -> None:
    batch = [[1 + (i * j) % (VOCABULARY - 1) for j in range(i % 9)] + [0] for i in range(150)]
    asked = requests(batch, [6] * len(batch))
    assert reference().greedy(asked) == compiled().greedy(asked)


def test_threads_share_an_engine() -> None:
    batches = [[[1 + (i + j) % (VOCABULARY - 1) for j in range(20)] + [0]] * 5 for i in range(16)]
    asked = [requests(batch, [40] * 5) for batch in batches]
    alone = [compiled().greedy(some) for some in asked]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            assert list(pool.map(compiled().greedy, asked)) == alone


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([], ValueError, "a batch needs sentences"),
        ([[]], ValueError, "a sentence tokens"),
        ([[4, 0], []], ValueError, "a sentence tokens"),
        ([[VOCABULARY, 0]], IndexError, r"token ids must lie in \[-1"),
        ([[4, 0], [-2, 0]], IndexError, r"token ids must lie in \[-1"),
        ([[10**8, 0]], IndexError, r"token ids must lie in \[-1"),
        ([[4] * 65], IndexError, r"positions must lie in \[0, 64\)"),
        ([[4] * 2000], IndexError, r"positions must lie in \[0, 64\)"),
    ],
)
def test_refuses_batches(
    backend: Backend, batch: Batch, error: type[Exception], message: str
) -> None:
    engine = engine_of(backend)
    with pytest.raises(error, match=message):
        engine.session(batch)
    with pytest.raises(error, match=message):
        engine.greedy(requests(batch, [5] * len(batch)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_refuses_steps(backend: Backend) -> None:
    session = engine_of(backend).session([[4, 0]])
    for token in (-2, VOCABULARY, 10**8):
        with pytest.raises(IndexError, match=r"token ids must lie in \[-1"):
            session.step(np.array([token], np.int32))
    follow(session, -1, 1, 64)
    with pytest.raises(IndexError, match=r"positions must lie in \[0, 64\)"):
        session.step(np.array([4], np.int32))


def run_both(program: Program, tensors: Tensors, batch: Batch | None = None) -> None:
    batch = [[5, 9, 3, 0], [7, 0], [8, 6, 4, 2, 1, 0]] if batch is None else batch
    results = []
    for backend in BACKENDS[::-1]:
        engine = load_engine(program, tensors, backend)
        trace = Trace()
        follow(engine.session(batch, trace), program.start, 3, 3)
        unwatched = follow(engine.session(batch), program.start, 3, 3)
        asked = requests(batch, [4, 3, 5])
        found = engine.greedy(asked), engine.beam(asked, BeamOptions(2, 2))
        results.append((trace, unwatched, found))
    results[0][0].assert_equal(results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert results[0][2] == results[1][2]


@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_a_program_that_is_valid_runs_the_same(data: st.DataObject) -> None:
    """A Program that validation accepts raises no error, and gives equal bits on both engines."""
    run_both(*draw_valid(data.draw, MODEL))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_any_tensors_run_the_same(seed: int) -> None:
    """Extreme weights, tables and factors: saturated values, and gates below zero."""
    random = np.random.default_rng(seed)
    tensors = dict(MODEL.tensors)
    for name in random.choice(sorted(tensors), 6, replace=False):
        kind = np.iinfo(tensors[name].dtype)
        extreme = random.choice([kind.min, -1, 0, 1, kind.max], tensors[name].shape)
        candidate = {**tensors, name: extreme.astype(kind.dtype)}
        try:
            validate(MODEL.program, candidate)
        except ProgramError:
            continue
        tensors = candidate
    assume(any(array is not MODEL.tensors[name] for name, array in tensors.items()))
    run_both(MODEL.program, tensors)


def test_a_gate_below_zero_is_closed() -> None:
    table = np.full(256, -32768, np.int16)
    run_both(MODEL.program, {**MODEL.tensors, "gate.table": table})


def test_memory_is_used_again() -> None:
    """The arena of a run is smaller than the arena of a trace.

    In a trace, every value has its own place.
    """
    engine = compiled()
    assert isinstance(engine, CompiledEngine)
    small, large = engine.code().row_bytes, engine.code(keep_values=True).row_bytes
    assert small["source"] < large["source"]
    assert small["target"] < large["target"]


def test_an_empty_encoder_or_stateless_decoder() -> None:
    """The Program has only an embedding and logits."""
    decoder = [
        next(i for i in MODEL.program.decoder if i.op == "embed"),
        replace(MODEL.program.decoder[-1], x="target.embedding"),
    ]
    header = {"states": [], "max_source_length": 0, "max_length_factor": 0}
    program = replace(MODEL.program, encoder=[], decoder=decoder, **header)
    run_both(program, used_tensors(program, MODEL.tensors), [[], [], []])


def test_the_fused_product_has_the_operands_of_the_product() -> None:
    """In the same words: one function reads both."""
    product, fused = operands_at(Linear)._asdict(), operands_at(LinearArgmax)._asdict()
    shared = ("x", "weight", "bias")
    assert [product[name] for name in shared] == [fused[name] for name in shared]


@pytest.mark.parametrize("rows", [2, 15, 16, 17, 40])
def test_a_session_has_room_for_rows_that_come_later(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Values, states and scratch memory: a short source asks for little of them."""
    made: list[WatchedMemory] = []

    class Kept(WatchedMemory):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr("int8ref.engines.compiled_session.Memory", Kept)
    found = []
    for engine in (reference(), compiled()):
        session = engine.session([[4]], (lambda name, value: None) if rows % 2 else None)
        session.step(np.array([5], np.int32))
        session.select(np.zeros(rows, np.int64))
        found.append([session.step(np.full(rows, 6, np.int32)) for _ in range(3)])
    np.testing.assert_array_equal(found[0], found[1])
    (memory,) = made
    memory.check()


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 40])
def test_scratch_memory_is_for_all_rows_that_there_is_room_for(rows: int) -> None:
    """Rows up to the capacity may come without another reservation."""
    engine = compiled()
    assert isinstance(engine, CompiledEngine)
    code = engine.code()
    memory = WatchedMemory()
    arena = Arena(code, memory, [[4]], slots=1, max_steps=0)
    arena.reserve_targets(rows)
    capacity = -(-max(rows, 1) // ROW_ALIGNMENT) * ROW_ALIGNMENT
    assert ((code.workspace_bytes(capacity, 1),), np.uint8) in memory.given
