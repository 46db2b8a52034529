"""Tokens around a source, eos or as the program says, and the prefix of every translation."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from int8ref.engines.backends import load_engine
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.options import Options
from int8ref.program.program import SourceFrame, decode, encode
from int8ref.program.sizes import max_target_length
from int8ref.program.validate import validate
from int8ref.search import BeamOptions
from int8ref.text.decimals import natural_log
from int8ref.translation.recording import record
from int8ref.translator import Translator
from tests.helpers.engines import requests, score
from tests.helpers.models import SENTENCES, build_tiny_model

MODEL = build_tiny_model(2)
EOS = MODEL.program.eos
FRAMES = [
    SourceFrame(after=(EOS,)),
    SourceFrame(),
    SourceFrame((5,)),
    SourceFrame((7, 5), (EOS, 6)),
]


def framed(frame: SourceFrame) -> Model:
    program = replace(MODEL.program, source_frame=frame)
    return Model("tiny", ("en", "pt"), program, MODEL.tensors, MODEL.source, MODEL.target, {})


def test_unset_it_is_eos_after_the_source_and_in_no_file() -> None:
    assert MODEL.program.frame == SourceFrame(after=(EOS,))
    assert b"source_frame" not in encode(MODEL.program)
    for text in SENTENCES:
        told = Translator(framed(SourceFrame(after=(EOS,))), "reference").translate(text)
        assert Translator(MODEL, "reference").translate(text) == told


@pytest.mark.parametrize("frame", FRAMES)
def test_a_program_with_a_frame_is_read_back(frame: SourceFrame) -> None:
    program = framed(frame).program
    assert decode(encode(program)) == program
    validate(program, MODEL.tensors)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_the_engine_sees_the_tokens_in_their_frame(frame: SourceFrame, backend: Any) -> None:
    model = framed(frame)
    translator = Translator(model, backend)
    engine = load_engine(model.program, model.tensors, "reference")
    worker = translator._worker
    for text in SENTENCES:
        ids = worker.encode_source(text, "here", None).ids
        source = [*frame.before, *ids, *frame.after]
        limit = max_target_length(model.program, model.tensors, len(source))
        found = translator.translate(text, Options(alignment="soft"))
        assert list(found.best.ids) == engine.greedy(requests([source], [limit]))[0]
        assert found.alignment is not None
        assert found.alignment.weights is not None
        assert {len(row) for row in found.alignment.weights} <= {len(source)}
        assert {point for point, _ in found.alignment.points} <= set(range(len(ids)))
        assert record(model, [text], steps=1).sentences[0].source == source


@pytest.mark.parametrize("frame", FRAMES)
def test_a_long_source_leaves_room_for_its_frame(frame: SourceFrame) -> None:
    program = replace(framed(frame).program, max_source_length=8)
    model = Model("tiny", ("en", "pt"), program, MODEL.tensors, MODEL.source, MODEL.target, {})
    warned: list[str] = []
    found = Translator(model, "reference")._worker.encode_source("a " * 50, "here", warned.append)
    assert len(found.ids) == 8 - frame.size
    assert warned
    assert warned[0].startswith(f"here: only the first {8 - frame.size} of ")


def test_nothing_in_an_empty_frame_cannot_be_scored() -> None:
    translator = Translator(framed(SourceFrame()), "reference")
    assert translator.translate("").text == ""
    assert translator.score("", "").score == 0
    with pytest.raises(UserError, match="the text: a translation of no token"):
        translator.score("", SENTENCES[0])
    assert Translator(framed(SourceFrame((5,))), "reference").score("", SENTENCES[0]).score < 0


@pytest.mark.parametrize("backend", ["reference", "compiled"])
@pytest.mark.parametrize("prefix", [(5,), (7, 5)])
def test_given_translations_begin_as_the_model_was_taught(
    backend: Any, prefix: tuple[int, ...]
) -> None:
    program = replace(MODEL.program, target_prefix=prefix)
    assert decode(encode(program)) == program
    validate(program, MODEL.tensors)
    assert b"target_prefix" not in encode(MODEL.program)
    model = Model("tiny", ("en", "pt"), program, MODEL.tensors, MODEL.source, MODEL.target, {})
    translator, plain = Translator(model, backend), Translator(MODEL, backend)
    worker, text = plain._worker, SENTENCES[0]
    ids = worker.encode_source(text, "here", None).ids
    for given in ("", SENTENCES[1]):
        (wanted,) = score(
            load_engine(program, MODEL.tensors, "reference"),
            [[*ids, EOS]],
            [[*prefix, *worker.encode_source(given, "here", None).ids]],
            BeamOptions(),
        )
        found = translator.score(text, given, Options(normalization="none"))
        assert found.best.scores is not None
        assert found.best.scores.log_probability == natural_log(sum(wanted.tokens))
    assert translator.score("", "").score == 0
    assert translator.translate(text) == plain.translate(text)
