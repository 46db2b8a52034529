"""Decoders with more than one block of keys: searches, batches and blocks give the same bits."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from int8ref.engines import compiled as compiled_engine
from int8ref.engines.backends import load_engine
from int8ref.engines.engine import Engine
from int8ref.program.program import Program, Tensors
from int8ref.program.sizes import max_steps
from int8ref.program.validate import validate
from int8ref.reference.attention import MAX_KEYS, Attention
from int8ref.reference.embed import Embed
from int8ref.reference.rotary import Rotary
from int8ref.search.hypothesis import BeamOptions
from int8ref.search.request import Path, Request
from int8ref.spec.scope import ProgramError
from tests.helpers.models import Kind
from tests.helpers.tiny_engines import MODELS, VOCABULARY

STEPS = 2100
WINDOW = 1100
LONG: list[Kind] = ["rotary", "capped"]


def longer(kind: Kind, **fields: Any) -> tuple[Program, Tensors]:
    """Return a model with STEPS positions, whose windows have WINDOW steps."""
    model = MODELS[kind]
    tables = {i.position_table for i in model.program.decoder if isinstance(i, Embed)}
    turns = [i for i in model.program.decoder if isinstance(i, Rotary)]
    tables |= {name for i in turns for name in (i.cosine, i.sine)}
    tensors = {
        name: np.resize(x, (STEPS, *x.shape[1:])) if name in tables else x
        for name, x in model.tensors.items()
    }
    decoder = [
        replace(i, window=WINDOW) if isinstance(i, Attention) and i.window else i
        for i in model.program.decoder
    ]
    return replace(model.program, decoder=decoder, **{"max_steps": STEPS} | fields), tensors


@cache
def long_engine(kind: Kind) -> Engine:
    return load_engine(*longer(kind), "compiled")


def prompt(length: int, seed: int = 0) -> list[int]:
    found: list[int] = np.random.default_rng(seed).integers(2, VOCABULARY, length).tolist()
    return found


def test_both_engines_agree_behind_the_first_block() -> None:
    asked, model = [Request((), 3, prompt(1024))], longer("rotary")
    assert long_engine("rotary").greedy(asked) == load_engine(*model, "reference").greedy(asked)


@pytest.mark.parametrize("kind", LONG)
def test_texts_in_a_batch_and_alone(kind: Kind) -> None:
    """Two texts use two slots, so that the third text gets a slot that another one has used."""
    asked = [
        Request((), 9, prompt(length, length), number=number)
        for number, length in enumerate((1020, 2050, 3, 1500))
    ]
    engine = long_engine(kind)
    alone = [engine.greedy([one])[0] for one in asked]
    assert engine.greedy(asked) == engine.greedy(asked, rows=2) == alone
    assert [len(ids) for ids in alone] != [0] * 4


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("block", [1, 77])
def test_blocks_of_rows(kind: Kind, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = [Path((), MODELS[kind].program.start, prompt(1040))]
    wanted = long_engine(kind).log_probabilities(path)
    monkeypatch.setattr(compiled_engine, "BLOCK_ROWS", block)
    assert long_engine(kind).log_probabilities(path) == wanted


@pytest.mark.parametrize("kind", LONG)
def test_a_beam_copies_its_histories(kind: Kind) -> None:
    """A beam gives the sums that scoring its texts gives, behind the end of the first page."""
    prefix, options = prompt(1021), BeamOptions(beam_size=3, n_best=3)
    engine, start = long_engine(kind), MODELS[kind].program.start
    (found,) = engine.beam([Request((), 8, prefix)], options)
    for one in found:
        tokens = [*one.ids, *([MODELS[kind].program.eos] if one.complete else [])]
        (scores,) = engine.log_probabilities([Path((), start, tokens, prefix)])
        assert scores == list(one.tokens)


def test_a_session_grows_its_pages() -> None:
    """A session without a limit makes room as its text grows, and keeps its histories."""
    tokens = prompt(1100)
    session = long_engine("rotary").session([[], []])
    for token in tokens:
        logits = session.step(np.array([token, tokens[0]], np.int32))
    again = long_engine("rotary").session([[]])
    for token in tokens:
        wanted = again.step(np.array([token], np.int32))
    np.testing.assert_array_equal(logits[:1], wanted)
    session.select(np.array([0, 0, 1]))
    one = session.step(np.array([5, 5, 5], np.int32))
    np.testing.assert_array_equal(one[:2], np.repeat(again.step(np.array([5], np.int32)), 2, 0))


def test_the_steps_of_a_program() -> None:
    program, tensors = longer("rotary")
    assert max_steps(program, tensors) == STEPS
    assert max_steps(replace(program, max_steps=STEPS + 1), tensors) == STEPS
    assert max_steps(replace(program, max_steps=7), tensors) == 7
    model = MODELS["rotary"]
    assert max_steps(longer("rotary")[0], model.tensors) == 64
    unset = {f: getattr(model.program, f) for f in ("max_steps",)}
    assert max_steps(longer("rotary", **unset)[0], tensors) == 1024


@pytest.mark.parametrize("steps", [0, -1, MAX_KEYS + 1])
def test_refuses_steps_out_of_range(steps: int) -> None:
    with pytest.raises(ProgramError, match=r"max_steps must lie in \[1, 131072\]"):
        validate(*longer("rotary", max_steps=steps))


def test_a_limit_behind_the_first_page_changes_nothing() -> None:
    """A history of one page has shorter pages than a history of several pages."""
    engine = long_engine("rotary")
    short, far = ([Request((), limit, prompt(5))] for limit in (4, STEPS - 6))
    assert engine.greedy(far)[0][:4] == engine.greedy(short)[0]
