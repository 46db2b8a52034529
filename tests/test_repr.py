"""Representations: one line for people, for content of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from int8ref import Encoder, LanguageModel, Translator
from int8ref.engines.backends import load_engine
from int8ref.files.models import load_model
from int8ref.files.shortlist import Shortlist
from int8ref.files.wanted import WantedModel
from tests.helpers.encoders import build_encoder
from tests.helpers.machine_text import machine_text
from tests.helpers.models import build_tiny_model

MODEL, DECODER = build_tiny_model(2), build_tiny_model(4, "decoder")
ENCODER = build_encoder()
PROGRAM = MODEL.program
COUNTS = f"{len(PROGRAM.encoder)} of the encoder, {len(PROGRAM.decoder)} of the decoder"
TOLD = f"<Program, instructions: {COUNTS}; states: 1>"
LIST = Shortlist(7, True, "0" * 64, np.zeros(10_001, np.int32), np.zeros(0, np.int16), {"a": "b"})


def engine(backend: Any) -> Any:
    machine_text()
    return load_engine(PROGRAM, MODEL.tensors, backend)


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (lambda: MODEL, f"<Model tiny, en-pt, {len(MODEL.tensors)} tensors>"),
        (lambda: PROGRAM, TOLD),
        (lambda: MODEL.source, f"<Tokenizer sentencepiece, {len(MODEL.source.model)} bytes>"),
        (lambda: LIST, "<Shortlist, 7 frequent tokens, 10000 lists of 0 tokens>"),
        (lambda: engine("reference"), f"<ReferenceEngine of {TOLD}>"),
        (lambda: engine("compiled"), f"<CompiledEngine of {TOLD}>"),
        (lambda: Translator(MODEL, "reference"), "<Translator tiny, reference backend>"),
        (
            lambda: LanguageModel(DECODER, "reference"),
            "<LanguageModel tiny-decoder-only, reference backend>",
        ),
        (lambda: Encoder(ENCODER, "reference"), f"<Encoder {ENCODER.name}, reference backend>"),
    ],
)
def test_it_names_the_thing(made: Any, wanted: str) -> None:
    thing = made()
    assert repr(thing) == str(thing) == wanted
    assert wanted.startswith(f"<{type(thing).__name__}")


def test_of_a_real_model_it_is_short_too() -> None:
    path, model = load_model(WantedModel("en-de-tatoeba"), print)
    made = [model, model.program, model.source, load_engine(model.program, model.tensors)]
    for thing in [*made, Translator(model, "reference", path=Path(path))]:
        assert len(repr(thing)) < 300
        assert "\n" not in repr(thing)
