"""Decoders with histories, pre-norm, alone or not: all bits are equal on both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from int8ref.engines.backends import BACKENDS, load_engine
from int8ref.files.model_file import Model
from int8ref.program.program import State, takes_source
from int8ref.program.sizes import max_target_length
from int8ref.program.validate import validate
from int8ref.reference.append import Append
from int8ref.search.hypothesis import BeamOptions
from int8ref.spec.scope import ProgramError
from tests.helpers.engines import Batch, Trace, follow, requests, score
from tests.helpers.models import DECODER_BATCH, Kind
from tests.helpers.program_mutations import draw_valid
from tests.helpers.tiny_engines import MODELS, VOCABULARY, batches_for, both

KINDS: list[Kind] = ["decoder", "rotary", "translation"]
"""Models whose decoders read histories."""


def tokens(data: st.DataObject, rows: int) -> Any:
    ids = st.lists(st.integers(0, VOCABULARY - 1), min_size=rows, max_size=rows)
    return np.array(data.draw(ids), np.int32)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(data=st.data())
def test_every_value_is_equal(kind: Kind, data: st.DataObject) -> None:
    """With and without an observer, for any tokens."""
    batch: Batch = data.draw(batches_for(kind))
    program, traces = MODELS[kind].program, (Trace(), Trace())
    watched = [e.session(batch, trace) for e, trace in zip(both(kind), traces, strict=True)]
    alone = [engine.session(batch) for engine in both(kind)]
    for _ in range(data.draw(st.integers(1, 5))):
        ids = tokens(data, len(batch))
        logits = [session.step(ids) for session in (*watched, *alone)]
        for other in logits[1:]:
            np.testing.assert_array_equal(other, logits[0])
    names = {n for i in [*program.encoder, *program.decoder] for n in i.names("result")}
    assert {name for name, _ in traces[0].seen} == names
    traces[0].assert_equal(traces[1])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(data=st.data())
def test_greedy(kind: Kind, data: st.DataObject) -> None:
    batch: Batch = data.draw(batches_for(kind))
    limits = data.draw(
        st.lists(st.integers(1, 20), min_size=len(batch), max_size=len(batch)), "limits"
    )
    reference, compiled = both(kind)
    asked = requests(batch, limits)
    assert compiled.greedy(asked) == reference.greedy(asked)


def test_greedy_ends_by_eos_and_by_limit() -> None:
    """Rows move while their histories have any length."""
    batch = [[4 + i, 9, 3 + i, 0] for i in range(9)]
    reference, compiled = both("translation")
    asked = requests(batch, [14] * 9)
    found = compiled.greedy(asked)
    assert found == reference.greedy(asked)
    assert len({len(ids) for ids in found}) > 2
    assert max(len(ids) for ids in found) == 14
    assert [compiled.greedy([one])[0] for one in asked] == found


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(data=st.data())
def test_beam_and_score(kind: Kind, data: st.DataObject) -> None:
    """A copied or moved hypothesis keeps its history."""
    batch: Batch = data.draw(batches_for(kind))
    limits = data.draw(
        st.lists(st.integers(1, 12), min_size=len(batch), max_size=len(batch)), "limits"
    )
    options = BeamOptions(beam_size=data.draw(st.integers(1, 5)), n_best=1)
    reference, compiled = both(kind)
    asked = requests(batch, limits)
    found = compiled.beam(asked, options)
    assert found == reference.beam(asked, options)
    targets = [hypotheses[0].ids for hypotheses in found]
    scores = score(compiled, batch, targets, options)
    assert scores == score(reference, batch, targets, options)
    for (best,), scored in zip(found, scores, strict=True):
        assert best == scored if best.complete else best.tokens == scored.tokens[:-1]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(data=st.data())
def test_select_drops_repeats_and_grows(kind: Kind, data: st.DataObject) -> None:
    batch: Batch = data.draw(batches_for(kind))
    sessions = [engine.session(batch) for engine in both(kind)]
    rows = len(batch)
    for _ in range(6):
        ids = tokens(data, rows)
        one, other = (session.step(ids) for session in sessions)
        np.testing.assert_array_equal(one, other)
        chosen = np.array(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=40)))
        for session in sessions:
            session.select(chosen)
        rows = len(chosen)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_row_sees_its_own_steps_and_no_others(kind: Kind, data: st.DataObject) -> None:
    """A moved, copied or reordered row gives the logits of a row that was always alone."""
    batch: Batch = data.draw(batches_for(kind))
    compiled = both(kind)[1]
    session = compiled.session(batch)
    paths: list[list[int]] = [[] for _ in batch]
    origin = list(range(len(batch)))
    for _ in range(4):
        ids = tokens(data, len(paths))
        logits = session.step(ids)
        paths = [[*path, int(token)] for path, token in zip(paths, ids, strict=True)]
        chosen = data.draw(
            st.lists(st.integers(0, len(paths) - 1), min_size=1, max_size=7), "chosen"
        )
        session.select(np.array(chosen))
        paths, origin = [paths[i] for i in chosen], [origin[i] for i in chosen]
        for row, (path, first) in enumerate(zip(paths, origin, strict=True)):
            alone = compiled.session([batch[first]])
            steps = [alone.step(np.array([token], np.int32)) for token in path]
            np.testing.assert_array_equal(steps[-1][0], logits[chosen[row]])


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_steps_as_there_are_positions(kind: Kind) -> None:
    batch = [[5, 9, 3, 0], [7, 0]] if kind == "translation" else DECODER_BATCH[:2]
    program = MODELS[kind].program
    reference, compiled = (follow(e.session(batch), program.start, 2, 64) for e in both(kind))
    np.testing.assert_array_equal(reference, compiled)
    for engine in both(kind):
        session = engine.session(batch)
        follow(session, program.start, 2, 64)
        with pytest.raises(IndexError, match=r"positions must lie in \[0, 64\)"):
            session.step(np.array([4, 4], np.int32))
    with pytest.raises(IndexError, match=r"positions must lie in \[0, 64\)"):
        both(kind)[1].greedy(requests(batch, [65, 1]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_decoder_alone_takes_no_source(backend: Any) -> None:
    model = MODELS["decoder"]
    engine = load_engine(model.program, model.tensors, backend)
    for batch in ([[4, 0]], [[], [0]]):
        with pytest.raises(ValueError, match="the program takes no source"):
            engine.session(batch)
        with pytest.raises(ValueError, match="the program takes no source"):
            engine.greedy(requests(batch, [3] * len(batch)))
    with pytest.raises(ValueError, match="a batch needs sentences"):
        engine.session([])
    assert not takes_source(model.program)
    assert takes_source(MODELS["translation"].program)
    assert max_target_length(model.program, model.tensors, 0) == 64


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data())
def test_a_program_that_is_valid_runs_the_same(kind: Kind, data: st.DataObject) -> None:
    program, tensors = draw_valid(data.draw, MODELS[kind])
    batch = [[5, 9, 3, 0], [7, 0]] if takes_source(program) else DECODER_BATCH[:2]
    results = []
    for engine in (load_engine(program, tensors, backend) for backend in BACKENDS):
        trace = Trace()
        follow(engine.session(batch, trace), program.start, 2, 3)
        unwatched = follow(engine.session(batch), program.start, 2, 3)
        results.append((trace, unwatched, engine.greedy(requests(batch, [4, 3]))))
    results[0][0].assert_equal(results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert results[0][2] == results[1][2]


# Validation rejects these Programs.

MODEL: Model = MODELS["decoder"]
GOOD = MODEL.program.states[0]


DECODER = MODEL.program.decoder
APPEND = next(i for i in DECODER if isinstance(i, Append))
AT = DECODER.index(APPEND)
SECOND = State("second", "third", "int8", 32, "history")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"states": [replace(GOOD, domain="target")]}, "not of domain history"),
        ({"states": [replace(GOOD, dtype="int16")]}, "is int16.history, 32., not int8"),
        ({"states": [replace(GOOD, next_value="qkv")]}, "does not match its successor"),
        ({"states": [GOOD, SECOND]}, "successor 'third' is not computed"),
        (
            {"decoder": [*DECODER[:AT], replace(DECODER[AT + 1], key=GOOD.value, value=GOOD.value),
                         APPEND, *DECODER[AT + 2 :]]},
            "history 'history.before' is read without this step's row",
        ),
        (
            {"decoder": [*DECODER[: AT + 1],
                         replace(APPEND, history="history", next_history="more"),
                         *DECODER[AT + 1 :]]},
            "history 'history': 'more' must be its state's successor, by an append",
        ),
        (
            {"decoder": [*DECODER[:AT], replace(APPEND, next_history="more"), *DECODER[AT:]]},
            "history 'history.before': 'more' must be its state's successor",
        ),
        ({"max_source_length": 5}, "must be 0 where there is no source"),
        ({"max_length_factor": 100}, "must be 0 where there is no source"),
    ],
)  # fmt: skip
def test_refuses_histories_and_headers(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        validate(replace(MODEL.program, **fields), MODEL.tensors)


def test_refuses_a_swapped_successor() -> None:
    """Each of two histories is the successor of the other.  Updates in place cannot do this."""
    model = MODELS["translation"]
    one, two = model.program.states
    swapped = [replace(one, next_value=two.next_value), replace(two, next_value=one.next_value)]
    with pytest.raises(ProgramError, match="is used after its successor is computed"):
        validate(replace(model.program, states=swapped), model.tensors)


@pytest.mark.parametrize("op", ["attention_softmax", "match_add", "linear", "append"])
def test_only_attention_reads_a_history(op: str) -> None:
    """Validation rejects a history as an operand of any other instruction."""
    names = {"attention_softmax": "query", "match_add": "b", "linear": "x", "append": "x"}
    at = max(i for i, instruction in enumerate(DECODER) if instruction.op == op)
    changed = replace(DECODER[at], **{names[op]: "history"})
    late = [*DECODER[:at], changed, *DECODER[at + 1 :]]
    with pytest.raises(ProgramError, match=r"history"):
        validate(replace(MODEL.program, decoder=late), MODEL.tensors)
