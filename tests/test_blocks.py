"""Given tokens run in blocks of rows, and give the bits of steps one by one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from int8ref.engines import compiled as compiled_engine
from int8ref.machine.model.assemble import shared_rows
from int8ref.search import BeamOptions, Sampling
from int8ref.search.request import Path, Request
from tests.helpers.models import Kind
from tests.helpers.tiny_engines import MODELS, VOCABULARY, both, sources_of

SIZES = [1, 2, 3, 7, 16, 128]
"""Numbers of rows of a block: one step at a time, blocks that end inside a text, one block."""
BLOCKED: list[Kind] = [kind for kind in MODELS if shared_rows(MODELS[kind].program)]

tokens = st.lists(st.integers(0, VOCABULARY - 1), max_size=30)


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Set the number of rows of a block."""
    monkeypatch.setattr(compiled_engine, "BLOCK_ROWS", request.param)
    return int(request.param)


@st.composite
def requests(draw: st.DrawFn, kind: Kind) -> list[Request]:
    """Draw a batch whose prefixes have different lengths."""
    count = draw(st.integers(1, 5))
    return [
        Request(draw(sources_of(kind)), draw(st.integers(1, 8)), draw(tokens), number=number)
        for number in range(count)
    ]


@st.composite
def paths(draw: st.DrawFn, kind: Kind) -> list[Path]:
    """Draw a batch of paths with and without prefixes."""
    start = MODELS[kind].program.start
    some = tokens.filter(bool)
    return [
        Path(draw(sources_of(kind)), start, draw(some), draw(tokens))
        for _ in range(draw(st.integers(1, 5)))
    ]


SHARED = settings(
    max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def test_kinds_with_histories_alone_run_in_blocks() -> None:
    assert set(BLOCKED) == set(MODELS) - {"recurrent"}


@pytest.mark.parametrize("kind", MODELS)
@SHARED
@given(data=st.data())
def test_searches(kind: Kind, size: int, data: st.DataObject) -> None:
    reference, compiled = both(kind)
    batch = data.draw(requests(kind))
    options = BeamOptions(data.draw(st.integers(1, 4)))
    sampling = Sampling(temperature=data.draw(st.sampled_from([50, 100])), seed=3)
    rows = data.draw(st.sampled_from([None, 1, 2, 3, 9]))
    assert compiled.greedy(batch, rows) == reference.greedy(batch)
    assert compiled.beam(batch, options) == reference.beam(batch, options)
    assert compiled.sample(batch, sampling, rows) == reference.sample(batch, sampling)


@pytest.mark.parametrize("kind", MODELS)
@SHARED
@given(data=st.data())
def test_scores(kind: Kind, size: int, data: st.DataObject) -> None:
    reference, compiled = both(kind)
    batch = data.draw(paths(kind))
    found = compiled.log_probabilities(batch)
    assert found == reference.log_probabilities(batch)
    assert found == [compiled.log_probabilities([path])[0] for path in batch]


@pytest.mark.parametrize("kind", BLOCKED)
def test_a_prefix_needs_no_instruction_behind_the_last_history(kind: Kind) -> None:
    """No logits, for example."""
    program = MODELS[kind].program
    count = shared_rows(program)
    written = {state.next_value for state in program.states}
    assert written & set(program.decoder[count - 1].names("result"))
    rest = [name for i in program.decoder[count:] for name in i.names("result")]
    assert not written & set(rest)
    assert program.logits in rest
