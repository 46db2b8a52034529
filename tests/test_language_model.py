"""Language models from Python: `load`, continuations, perplexity, scores, pickles."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

import int8ref
from int8ref import (
    Continuation,
    LanguageModel,
    OptionError,
    Options,
    Speed,
    Translator,
    UserError,
)
from int8ref.engines.backends import load_engine
from int8ref.files.model_file import save
from int8ref.search import Sampling
from int8ref.search.request import Request
from int8ref.text.decimals import natural_log
from int8ref.text.tokenizers import build_tokenizer
from int8ref.translation.used import SAMPLED
from tests.helpers.builder import POSITIONS
from tests.helpers.models import SENTENCES, build_tiny_model
from tests.helpers.processes import TIMEOUT

MODEL = build_tiny_model(4, "decoder")
TOKENIZER = build_tokenizer(MODEL.target, len(MODEL.tensors["embeddings"]))
TEXTS = [*SENTENCES, "", "The"]
DRAWN = Options(temperature=1.2, top_k=20, top_p=0.95, seed=7, max_length=4)


@pytest.fixture(scope="module", name="path")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "decoder.safetensors"
    save(path, MODEL)
    return path


@pytest.fixture(scope="module", name="model")
def loaded(path: Path) -> LanguageModel:
    found = int8ref.load(path, "reference", batch_size=3)
    assert isinstance(found, LanguageModel)
    return found


def test_load_gives_one_where_there_is_no_source(path: Path, tiny_file: Path) -> None:
    found = int8ref.load(str(path), threads=2, batch_size=5, buffer_size=7)
    assert type(found) is LanguageModel
    assert (found.backend, found.speed) == ("compiled", Speed(5, 2, 7))
    assert found.model.name == MODEL.name
    assert type(int8ref.load(tiny_file, "reference")) is Translator


def test_each_is_told_from_the_other(model: LanguageModel, tiny_file: Path) -> None:
    with pytest.raises(UserError, match="a decoder alone, which translates nothing"):
        Translator(model.model, "reference")
    with pytest.raises(UserError, match="model tiny translates: a language model takes no source"):
        LanguageModel(int8ref.load(tiny_file, "reference").model)


@pytest.mark.parametrize("options", [Options(max_length=9), DRAWN], ids=["greedy", "drawn"])
def test_generate_is_the_engines(model: LanguageModel, options: Options) -> None:
    """The prefix of a request is the tokens of the text.  Its number is the place in the list."""
    engine = load_engine(MODEL.program, MODEL.tensors, "reference")
    found = model.generate(TEXTS, options)
    assert [result.prompt for result in found] == TEXTS
    for number, (text, result) in enumerate(zip(TEXTS, found, strict=True)):
        assert options.max_length is not None
        request = Request((), options.max_length, TOKENIZER.encode(text), number=number)
        sampling = Sampling(120, 20, 95, 7)
        drawn = engine.sample([request], sampling) if options is DRAWN else engine.greedy([request])
        (ids,) = drawn
        assert result == Continuation(
            prompt=text,
            truncated=False,
            text=TOKENIZER.text([*request.prefix, *ids]),
            tokens=tuple(TOKENIZER.pieces(ids)),
            ids=tuple(ids),
            complete=len(ids) < options.max_length,
            added=TOKENIZER.text([*request.prefix, *ids]).removeprefix(text),
        )
        assert result.text.startswith(text)
    assert {result.complete for result in found} == {True, False}


def test_one_text_and_several(model: LanguageModel) -> None:
    found = model.generate(TEXTS)
    assert model.generate(TEXTS[0]) == found[0]
    assert model.generate(tuple(TEXTS)) == found
    assert list(model.stream(iter(TEXTS))) == found
    assert [model.generate(text) for text in TEXTS] == found
    assert [result for results in model.batches(TEXTS) for result in results] == found
    assert model.generate([]) == []


def test_a_stream_may_be_endless(model: LanguageModel) -> None:
    asked = 0

    def endless() -> Iterator[str]:
        nonlocal asked
        for text in itertools.cycle(TEXTS):
            asked += 1
            yield text

    short = LanguageModel(MODEL, "reference", Speed(2, buffer_size=4))
    results = list(itertools.islice(short.stream(endless(), Options(max_length=3)), 10))
    assert results == (model.generate(TEXTS, Options(max_length=3)) * 2)[:10]
    assert asked <= 10 + 4 * 4


def test_a_text_without_positions_is_cut(model: LanguageModel) -> None:
    long, told = "a b c d e f g " * 40, list[str]()
    batches = model.batches(["a", long, "b"], Options(max_length=5), told.append)
    found = [result for results in batches for result in results]
    assert [result.truncated for result in found] == [False, True, False]
    assert [result.prompt for result in found] == ["a", long, "b"]
    count = len(TOKENIZER.encode(long))
    assert told == [f"text 2: only the last {POSITIONS // 2} of {count} tokens are read"]


USED = {
    "temperature": 0.5, "top_k": 3, "top_p": 0.5, "seed": 3, "max_length": 4, "beam_size": 2,
    "n_best": 2, "normalization": "gnmt", "alpha": 0.6, "scores": True, "alignment": "hard",
    "shortlist": True, "max_length_factor": 2, "distinct": True, "target_prefix": "a",
    "source_language": "en", "target_language": "pt", "logits_digest": True,
    "min_p": 0.5, "repetition_penalty": 1.5, "presence_penalty": 1, "frequency_penalty": 1,
    "min_length": 2, "no_repeat_ngram": 2, "logit_bias": {3: 1}, "suppress_tokens": [3],
    "choices": ["a"], "stop": ["a"], "top_logprobs": 2, "copy_unknown": True,
}  # fmt: skip
"""A value of each option that differs from its default."""
NEEDED = {"top_k": "temperature", "top_p": "temperature", "seed": "temperature"}
NEEDED |= {"min_p": "temperature"}
NEEDED |= {"n_best": "beam_size"}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Options)])
def test_options_that_do_nothing_are_refused(model: LanguageModel, name: str) -> None:
    needed = NEEDED.get(name, name)
    options = Options(**{needed: USED[needed], name: USED[name]})  # type: ignore[arg-type]
    calls = {
        "generate": lambda: model.generate("a", options),
        "generate several": lambda: model.generate(["a"], options),
        "stream": lambda: model.stream(["a"], options),
        "batches": lambda: model.batches(["a"], options),
        "score": lambda: model.score("a", options),
    }
    sampled = name in SAMPLED
    for call, act in calls.items():
        if name in ("normalization", "alpha") if call == "score" else sampled:
            act()
        else:
            with pytest.raises(OptionError, match=f"({name}|{needed}) does nothing here: it is "):
                act()


def test_a_score_is_the_perplexity_of_a_line(model: LanguageModel) -> None:
    """Both sum over the tokens of the line and eos."""
    for text in ("The cat sat on the mat.", "", "O sol"):
        ids = [*TOKENIZER.encode(text), MODEL.program.eos]
        scores, whole = model.score(text), model.perplexity([text])
        assert whole.tokens == len(ids) == len(scores.tokens)
        assert scores.log_probability == natural_log(whole.log2)
        assert scores.complete
        assert float(sum(scores.tokens)) == pytest.approx(float(scores.log_probability), abs=1e-4)
        assert scores.score == natural_log((2 * whole.log2 + len(ids)) // (2 * len(ids)))
        plain = model.score(text, Options(normalization="none"))
        assert plain == dataclasses.replace(scores, score=scores.log_probability)
    assert model.score("The cat", Options(alpha=2)).score != model.score("The cat").score


def test_a_score_is_the_compiled_engines_too(model: LanguageModel) -> None:
    compiled = LanguageModel(MODEL)
    for text in TEXTS:
        assert compiled.score(text) == model.score(text)


def test_a_text_that_is_too_long_has_no_score(model: LanguageModel) -> None:
    """One position is for eos."""
    most = next(n for n in range(1, POSITIONS) if len(TOKENIZER.encode("a" * n)) == POSITIONS - 1)
    assert len(model.score("a" * most).tokens) == POSITIONS
    with pytest.raises(UserError, match=f"a text of {POSITIONS} tokens: the model takes 63; perp"):
        model.score("a" * (most + 1))
    assert model.perplexity(["a" * (most + 1)]).tokens == POSITIONS + 1


def test_a_normalization_without_an_exponent_is_refused() -> None:
    program = msgspec.structs.replace(MODEL.program, alpha=0)
    model = LanguageModel(dataclasses.replace(MODEL, program=program), "reference")
    with pytest.raises(OptionError, match=r'model tiny-decoder-only: .* "length" does nothing'):
        model.score("The cat", Options(normalization="length"))
    scores = model.score("The cat")
    assert scores.score == scores.log_probability
    assert model.score("The cat", Options(normalization="length", alpha=1)).score > scores.score


@pytest.mark.parametrize("window", [1, 0, -1, POSITIONS + 1, True, 8.0, "8"], ids=repr)
def test_windows_that_cannot_be(model: LanguageModel, window: Any) -> None:
    with pytest.raises(UserError, match=f"a window of {window!r} tokens: the model takes 2 to 64"):
        model.perplexity(["a"], window)


def test_a_text_without_lines_has_no_perplexity(model: LanguageModel) -> None:
    with pytest.raises(UserError, match="there is no text to measure"):
        model.perplexity([])
    assert model.perplexity([""]).tokens == 1


def test_what_lines_raise_is_raised(model: LanguageModel) -> None:
    def lines() -> Iterator[str]:
        yield "The cat"
        raise KeyError("the caller's own")

    with pytest.raises(KeyError, match="the caller's own"):
        model.perplexity(lines())
    stream = model.stream(lines())
    assert next(stream).prompt == "The cat"
    with pytest.raises(KeyError, match="the caller's own"):
        next(stream)


def test_unknown_characters_are_told_of_a_text(model: LanguageModel) -> None:
    told: list[str] = []
    model.perplexity(["The {cat}", "@"], warn=told.append)
    assert len(told) == 1
    assert "lacks 3 characters in 2 lines" in told[0]
    found = model.generate("The {cat}", Options(max_length=1))
    assert [text for _, text in found.unknown] == ["{", "}"]


def test_threads_share_a_model() -> None:
    compiled = LanguageModel(MODEL, speed=Speed(2, threads=2))
    expected = [(compiled.generate(text, DRAWN), compiled.score(text)) for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        work = pool.map(lambda t: (compiled.generate(t, DRAWN), compiled.score(t)), TEXTS * 4)
        assert list(work) == expected * 4


def continued(given: tuple[LanguageModel, str]) -> tuple[int, Continuation]:
    """Continue a text in another process.  Also return the identity of the model there."""
    model, text = given
    return id(model), model.generate(text, DRAWN)


def test_a_pickle_names_the_file(model: LanguageModel) -> None:
    assert len(pickle.dumps(model)) < 1000
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is LanguageModel
    assert (again.backend, again.speed) == (model.backend, model.speed)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        work = pool.map_async(continued, [(model, text) for text in TEXTS], chunksize=1)
        found = work.get(timeout=TIMEOUT)
    assert [result for _, result in found] == [model.generate(text, DRAWN) for text in TEXTS]
    assert len({identity for identity, _ in found}) == 1


def test_a_pickle_of_a_model_in_memory_holds_it(model: LanguageModel) -> None:
    again = pickle.loads(pickle.dumps(LanguageModel(MODEL, "reference")))
    assert again.generate(TEXTS, DRAWN) == model.generate(TEXTS, DRAWN)


def test_a_pickle_does_not_take_another_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(path, MODEL)
    pickled = pickle.dumps(int8ref.load(path, "reference"))
    save(path, build_tiny_model(9, "rotary"))
    with pytest.raises(UserError, match="not the model that the pickled LanguageModel had"):
        pickle.loads(pickled)


def test_results_are_values(model: LanguageModel) -> None:
    found = model.generate("The cat", DRAWN), model.perplexity(TEXTS), model.score("The cat")
    assert pickle.loads(pickle.dumps(found)) == found
    assert len({*found, *pickle.loads(pickle.dumps(found))}) == len(found)
