"""Real models, both directions: the two engines agree on every logit, and nothing else matters.

The models are those of the extra `models`; the first run imports them into the cache.  Sentences
are the ones that ship for calibration, and FLORES dev where INT8REF_SHARED has it.  The long run,
the first 100 sentences of FLORES dev in full on the reference, is not part of the default:

    python -m pytest -m slow tests/test_whole_model.py
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from int8ref.executor import Engine, load_engine
from int8ref.model_file import Model
from int8ref.models import MODELS, load_model
from int8ref.program import max_target_length, validate
from int8ref.text import build_tokenizer
from int8ref.translator import Translator

SHORT_SENTENCES = 100


@cache
def imported(name: str) -> Model:
    """The model of a direction; the test is skipped where its files are not installed."""
    published = MODELS[name]
    try:
        found = version(published.distribution)
    except PackageNotFoundError:
        found = "nothing"
    if found != published.version:
        pytest.skip(f"needs {published.distribution}=={published.version}, found {found}")
    return load_model(name, print)[1]


@pytest.fixture(scope="session", params=["en-pt", "pt-en"])
def model(request: pytest.FixtureRequest) -> Model:
    return imported(request.param)


@pytest.fixture(scope="session")
def engines(model: Model) -> tuple[Engine, Engine]:
    """(reference, compiled)."""
    validate(model.program, model.tensors)
    return (
        load_engine(model.program, model.tensors, "reference"),
        load_engine(model.program, model.tensors, "compiled"),
    )


def shipped(model: Model) -> list[str]:
    """The sentences that ship in the source language."""
    name = f"data/calibration.{model.languages[0]}.txt"
    return files("weights_import").joinpath(name).read_text("utf-8").splitlines()


def flores(model: Model) -> list[str]:
    """FLORES dev in the source language, or the shipped sentences where it is not at hand."""
    folder = Path(os.environ.get("INT8REF_SHARED", Path(__file__).parents[2] / "shared"))
    path = folder / "data" / "testsets" / "flores-dev" / f"{model.languages[0]}.dev"
    return path.read_text("utf-8").splitlines() if path.exists() else shipped(model)


def encode(model: Model, lines: list[str]) -> tuple[list[list[int]], list[int]]:
    """Token ids with eos, and the most tokens of each translation."""
    size = len(model.tensors[model.program.encoder[0].names("tensor")[0]])
    tokenizer = build_tokenizer(model.source, size)
    ids = [[*tokenizer.encode(line), model.program.eos] for line in lines]
    return ids, [max_target_length(model.program, model.tensors, len(i)) for i in ids]


def assert_same_logits(
    engines: tuple[Engine, Engine], batch: list[list[int]], limits: list[int]
) -> int:
    """Follow the compiled engine's translations on both, and compare the logits of every step.

    The largest logits are then those translations again, so the ids agree too.  The number of
    rows compared.
    """
    reference, compiled = engines
    program = reference.program
    translations = compiled.greedy(batch, limits)
    paths = [
        ids if len(ids) == most else [*ids, program.eos]
        for ids, most in zip(translations, limits, strict=True)
    ]
    sessions = [engine.session(batch) for engine in engines]
    sentence, ids = np.arange(len(batch)), np.full(len(batch), program.start, np.int32)
    compared = 0
    for step in range(max(len(path) for path in paths)):
        golden, fast = (session.step(ids) for session in sessions)
        assert golden.dtype == fast.dtype == np.int32
        np.testing.assert_array_equal(golden, fast)
        ids = np.array([paths[s][step] for s in sentence], np.int32)
        np.testing.assert_array_equal(golden.argmax(axis=1), ids)
        compared += len(ids)
        going = np.flatnonzero([len(paths[s]) > step + 1 for s in sentence])
        ids, sentence = ids[going], sentence[going]
        for session in sessions:
            session.select(going)
    return compared


def test_same_ids_and_logits(model: Model, engines: tuple[Engine, Engine]) -> None:
    """The shortest of the shipped sentences, from the first token to eos."""
    lines = sorted(shipped(model), key=lambda line: (len(line), line))[:SHORT_SENTENCES]
    assert len(lines) == SHORT_SENTENCES
    batch, limits = encode(model, lines)
    assert_same_logits(engines, batch, limits)


@pytest.mark.slow
def test_same_ids_and_logits_of_long_sentences(
    model: Model, engines: tuple[Engine, Engine]
) -> None:
    lines = flores(model)[:100]
    assert len(lines) == 100
    batch, limits = encode(model, lines)
    assert sum(
        assert_same_logits(engines, batch[i : i + 20], limits[i : i + 20])
        for i in range(0, 100, 20)
    ) >= 1000  # fmt: skip


def no_line_is_cut(line: int, length: int, kept: int) -> None:
    raise AssertionError(f"line {line} of {length} tokens was cut to {kept}")


@pytest.fixture(scope="session")
def translations(model: Model) -> tuple[Callable[..., list[str]], list[str], list[str]]:
    """(translate, lines, their translations one at a time)."""
    translator = Translator(model)

    def translate(lines: list[str], batch_size: int, threads: int = 1) -> list[str]:
        batches = translator.translate(lines, batch_size, threads, no_line_is_cut)
        return [line for batch in batches for line in batch]

    lines = flores(model)[:80]
    alone = translate(lines, 1)
    assert len(set(alone)) == len(lines)
    return translate, lines, alone


@pytest.mark.parametrize(("batch_size", "threads"), [(2, 1), (7, 2), (64, 1), (64, 2)])
def test_batches_and_threads_change_nothing(
    translations: tuple[Callable[..., list[str]], list[str], list[str]],
    batch_size: int,
    threads: int,
) -> None:
    translate, lines, alone = translations
    assert translate(lines, batch_size, threads) == alone


def test_order_changes_nothing(
    translations: tuple[Callable[..., list[str]], list[str], list[str]],
) -> None:
    translate, lines, alone = translations
    order = list(range(len(lines)))
    random.Random(7).shuffle(order)
    assert translate([lines[i] for i in order], 7, 2) == [alone[i] for i in order]


def test_translations_are_of_the_right_language(model: Model) -> None:
    """Against a model that is imported wrongly: a few words that cannot be missed."""
    source, wanted = {
        "en": ("The cat drinks water.", ("gato", "água")),
        "pt": ("O gato bebe água.", ("cat", "water")),
    }[model.languages[0]]
    (found,) = next(iter(Translator(model).translate([source], 1, 1, no_line_is_cut)))
    assert all(word in found.lower() for word in wanted), found
