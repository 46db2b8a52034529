"""Real models in both directions: the two engines agree on every logit, in every setting.

The models belong to the extra `models`.  The first run imports them into the cache.  The sentences
are the calibration sentences of the package, and FLORES dev if INT8REF_SHARED has it.  The long run
translates the first 100 sentences of FLORES dev on the reference.  It is not part of the default:

    python -m pytest -m slow tests/test_whole_model.py
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from int8ref.engines.backends import load_engine
from int8ref.engines.engine import Engine
from int8ref.files.model_file import Model
from int8ref.files.models import MODELS
from int8ref.options import Options
from int8ref.program.sizes import max_target_length
from int8ref.program.validate import validate
from int8ref.search import BeamOptions
from int8ref.text.tokenizers import build_tokenizer
from int8ref.translation.ready import Speed
from int8ref.translator import Translator
from tests.helpers.engines import requests, score
from tests.helpers.real_models import imported

SHORT_SENTENCES = 24


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
    """Return the calibration sentences of the package in the source language."""
    name = f"data/calibration.{model.languages[0]}.txt"
    return files("weights_import").joinpath(name).read_text("utf-8").splitlines()


def flores(model: Model) -> list[str]:
    """Return FLORES dev in the source language, or the calibration sentences if it is missing."""
    folder = Path(os.environ.get("INT8REF_SHARED", Path(__file__).parents[2] / "shared"))
    path = folder / "data" / "testsets" / "flores-dev" / f"{model.languages[0]}.dev"
    return path.read_text("utf-8").splitlines() if path.exists() else shipped(model)


def encode(model: Model, lines: list[str]) -> tuple[list[list[int]], list[int]]:
    """Return token ids with eos, and the largest number of tokens of each translation."""
    size = len(model.tensors[model.program.encoder[0].names("tensor")[0]])
    tokenizer = build_tokenizer(model.source, size)
    ids = [[*tokenizer.encode(line), model.program.eos] for line in lines]
    return ids, [max_target_length(model.program, model.tensors, len(i)) for i in ids]


def assert_same_logits(
    engines: tuple[Engine, Engine], batch: list[list[int]], limits: list[int]
) -> int:
    """Run both engines along the compiled translations.  Compare the logits of every step.

    The largest logits then give the same translations, so the ids are also equal.  Returns the
    number of compared rows.
    """
    reference, compiled = engines
    program = reference.program
    translations = compiled.greedy(requests(batch, limits))
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
    """The shortest calibration sentences, from the first token to eos."""
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


def assert_same_hypotheses(engines: tuple[Engine, Engine], lines: list[str], model: Model) -> None:
    """Compare the beam search of both engines.  Forced decoding gives equal scores."""
    reference, compiled = engines
    batch, limits = encode(model, lines)
    options = BeamOptions(beam_size=4, n_best=4)
    found = compiled.beam(requests(batch, limits), options)
    assert found == reference.beam(requests(batch, limits), options)
    sources = [ids for ids, best in zip(batch, found, strict=True) for h in best if h.complete]
    complete = [h for best in found for h in best if h.complete]
    assert len(complete) >= len(lines)
    assert score(compiled, sources, [h.ids for h in complete], options) == complete
    ids = [h.ids for h in complete[:3]]
    assert score(reference, sources[:3], ids, options) == complete[:3]


def test_same_hypotheses(model: Model, engines: tuple[Engine, Engine]) -> None:
    lines = sorted(shipped(model), key=lambda line: (len(line), line))[:40:10]
    assert_same_hypotheses(engines, lines, model)


@pytest.mark.slow
def test_same_hypotheses_of_long_sentences(model: Model, engines: tuple[Engine, Engine]) -> None:
    for first in range(0, 20, 5):
        assert_same_hypotheses(engines, flores(model)[first : first + 5], model)


def test_batches_of_beams(model: Model, engines: tuple[Engine, Engine]) -> None:
    """Beams of 1, 4 and 8, for single sentences and for one batch in reverse order."""
    compiled = engines[1]
    batch, limits = encode(model, flores(model)[:8])
    for size in (1, 4, 8):
        options = BeamOptions(beam_size=size, n_best=size)
        together = compiled.beam(requests(batch[::-1], limits[::-1]), options)[::-1]
        pairs = zip(batch, limits, strict=True)
        assert together == [compiled.beam(requests([ids], [n]), options)[0] for ids, n in pairs]
        if size == 1:
            greedy = compiled.greedy(requests(batch, limits))
            assert [list(best.ids) for (best,) in together] == greedy


def test_log_probabilities_are_those_of_the_float_model(
    model: Model, engines: tuple[Engine, Engine]
) -> None:
    """Both score the same translations.  The numbers are close, because all values are 8-bit."""
    from weights_import import sources
    from weights_import.forward import forced

    published = MODELS[f"{model.languages[0]}-{model.languages[1]}"]
    (checkpoint,) = (
        file
        for file in distribution(published.distribution).files or []
        if file.name == published.checkpoint
    )
    batch, limits = encode(model, flores(model)[:4])
    fitting = engines[1].greedy(requests(batch, limits))
    floats = sources.read(Path(str(checkpoint.locate())))
    for targets, error in ((fitting, 0.05), (fitting[1:] + fitting[:1], 0.5)):
        found = score(engines[1], batch, targets, BeamOptions())
        tokens = np.concatenate([h.tokens for h in found]) / 2**20 * np.log(2)
        wanted = []
        for logits, target in zip(forced(floats, batch, targets), targets, strict=True):
            wide = logits.astype(np.float64)
            wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
            wanted += wide[np.arange(len(wide)), [*target, model.program.eos]].tolist()
        assert abs(tokens - wanted).mean() < error
    assert tokens.sum() == pytest.approx(sum(wanted), rel=0.02), "of the unlikely ones"


@pytest.fixture(scope="session")
def translations(model: Model) -> tuple[Callable[..., list[str]], list[str], list[str]]:
    """(translate, lines, their translations one at a time)."""

    def translate(lines: list[str], batch_size: int, threads: int = 1) -> list[str]:
        results = Translator(model, speed=Speed(batch_size, threads)).translate(lines)
        assert not any(result.truncated for result in results)
        return [result.text for result in results]

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
    """A wrong import would miss these words."""
    source, wanted = {
        "en": ("The cat drinks water.", ("gato", "água")),
        "pt": ("O gato bebe água.", ("cat", "water")),
    }[model.languages[0]]
    found = Translator(model).translate(source).text
    assert all(word in found.lower() for word in wanted), found


def test_lists_scores_and_alignments_are_the_same_bits(model: Model) -> None:
    """For every backend, batch size, number of threads and order."""
    lines = sorted(shipped(model), key=lambda line: (len(line), line))[:6]
    options = Options(beam_size=4, n_best=4, scores=True, alignment="soft")
    golden = Translator(model, "reference", Speed(batch_size=4)).translate(lines, options)
    for speed in (Speed(1), Speed(2, 2), Speed(64)):
        assert Translator(model, speed=speed).translate(lines[::-1], options) == golden[::-1]
    for result in golden:
        ranked = [t.scores.score for t in result.translations if t.scores is not None]
        assert len(ranked) == len({t.ids for t in result.translations}) == 4
        assert result.text == result.translations[0].text
