"""Several threads on one text: the same bits, whatever the threads do."""

from __future__ import annotations

import os
import threading
import time
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from int8ref.abi import team
from int8ref.abi.futex import SLEEPS
from int8ref.engines import calls
from int8ref.engines import compiled as compiled_engine
from int8ref.engines.compiled import CompiledEngine
from int8ref.engines.cores import Cores, Team
from int8ref.engines.reference import ReferenceEngine
from int8ref.machine.toolchain.native import machine
from int8ref.search import BeamOptions, Sampling
from int8ref.search.request import Path, Request
from tests.helpers.models import Kind
from tests.helpers.tiny_engines import MODELS, VOCABULARY, sources_of

pytestmark = pytest.mark.skipif(not SLEEPS, reason="native code has one thread on this system")

tokens = st.lists(st.integers(0, VOCABULARY - 1), max_size=9)
SHARED = settings(
    max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.fixture(autouse=True)
def cut_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tiny models run in parts too."""
    monkeypatch.setattr(team, "LEAST_WORK", 1)
    monkeypatch.setattr(compiled_engine, "LEAST_WEIGHTS", 0)


@cache
def reference_of(kind: Kind) -> ReferenceEngine:
    """The other backend, which has one thread."""
    return ReferenceEngine(MODELS[kind].program, MODELS[kind].tensors)


def engine(kind: Kind, threads: int) -> CompiledEngine:
    model = MODELS[kind]
    return CompiledEngine(model.program, model.tensors, model.types, threads=threads)


@pytest.mark.parametrize("threads", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 5))])
@pytest.mark.parametrize("kind", MODELS)
@SHARED
@given(data=st.data())
def test_every_search_has_the_same_bits(kind: Kind, threads: int, data: st.DataObject) -> None:
    reference = reference_of(kind)
    several = engine(kind, threads)
    count = data.draw(st.integers(1, 4))
    batch = [
        Request(data.draw(sources_of(kind)), data.draw(st.integers(1, 5)), data.draw(tokens))
        for _ in range(count)
    ]
    options = BeamOptions(data.draw(st.integers(1, 4)))
    sampling = Sampling(temperature=100, seed=3)
    rows = data.draw(st.sampled_from([None, 1, 2]))
    start = MODELS[kind].program.start
    paths = [Path(request.ids, start, request.prefix or (1,)) for request in batch]
    assert several.greedy(batch, rows) == reference.greedy(batch)
    assert several.beam(batch, options) == reference.beam(batch, options)
    assert several.sample(batch, sampling, rows) == reference.sample(batch, sampling)
    assert several.log_probabilities(paths) == reference.log_probabilities(paths)
    assert several.cores.most == threads


def requests(kind: Kind = "decoder") -> list[Request]:
    source = [1, 2, 0] if MODELS[kind].program.encoder else []
    return [Request(source, 8, [n, 1, 2, 3]) for n in range(1, 6)]


def test_a_thread_that_never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    expected = reference_of("decoder").greedy(requests())
    several = engine("decoder", 3)
    assert several.greedy(requests()) == expected
    assert several.cores.shared > 0
    several = engine("decoder", 3)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert several.greedy(requests()) == expected
    assert several.cores.most == 1


def test_helpers_that_start_after_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that comes too late finds nothing to do, and leaves."""
    late = calls._run_helper

    def wait_first(run: object, address: int, memory: object) -> None:
        time.sleep(0.05)
        late(machine(), address, memory)  # type: ignore[arg-type]

    monkeypatch.setattr(calls, "_run_helper", wait_first)
    assert engine("decoder", 3).greedy(requests()) == reference_of("decoder").greedy(requests())


def test_calls_that_run_at_once_share_the_cores() -> None:
    expected = reference_of("decoder").greedy(requests())
    several, found = engine("decoder", 3), []

    def work() -> None:
        found.extend(several.greedy(requests()) == expected for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 100
    with several.cores.team() as own:
        assert own.size == 3


def test_a_call_gives_a_core_back_to_the_next_call() -> None:
    cores = Cores(3)
    with cores.team() as first:
        assert first.size == 3
        with cores.team() as second:
            assert (first.size, second.size) == (2, 1)


def test_an_exception_before_the_call_ends_the_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    several = engine("decoder", 3)
    before = threading.active_count()

    def fail() -> None:
        raise KeyboardInterrupt

    expected = several.greedy(requests())
    starts = Team.start

    def start(own: object, record: object, helpers: object) -> None:
        starts(own, record, helpers)  # type: ignore[arg-type]
        fail()

    with monkeypatch.context() as patch:
        patch.setattr(Team, "start", start)
        with pytest.raises(KeyboardInterrupt):
            several.greedy(requests())
    assert threading.active_count() == before
    assert several.greedy(requests()) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_has_teams_of_its_own() -> None:
    several = engine("decoder", 3)
    expected = several.greedy(requests())
    child = os.fork()
    if child == 0:
        os._exit(0 if several.greedy(requests()) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone has affinities")
def test_more_threads_than_processors() -> None:
    expected = reference_of("decoder").greedy(requests())
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert engine("decoder", 5).greedy(requests()) == expected
    finally:
        os.sched_setaffinity(0, allowed)
