"""Models of many languages: the languages of a run are tokens around sources and translations."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import int8ref
from int8ref.engines.backends import load_engine
from int8ref.files.model_file import Model, load, save
from int8ref.files.shortlist import Shortlist, tokenizers_hash
from int8ref.options import OptionError, Options
from int8ref.program.languages import LanguageError, Languages, TargetLanguage, code_of
from int8ref.program.program import SourceFrame, decode, encode
from int8ref.program.sizes import max_steps, max_target_length
from int8ref.program.validate import validate
from int8ref.results import Languages as Told
from int8ref.search import BeamOptions
from int8ref.spec.scope import ProgramError
from int8ref.text.decimals import natural_log
from int8ref.translation.recording import record
from int8ref.translator import Translator
from tests.helpers.engines import paths, requests
from tests.helpers.many_languages import BOTH, EOS, TINY, TOKENS, speaking
from tests.helpers.models import SENTENCES

Backend = Any
BACKENDS: list[Backend] = ["reference", "compiled"]
BEHIND = Languages(
    sources={code: SourceFrame((), (EOS, token)) for code, token in TOKENS.items()},
    targets={code: TargetLanguage(target=(token, 9)) for code, token in TOKENS.items()},
    source="eng_Latn",
    target="por_Latn",
)
"""As in NLLB's older models: a token behind the end mark of a source; here, two before a target."""
SPOKEN = Languages(targets={"fra": TargetLanguage(source=(5,)), "por": TargetLanguage(source=(6,))})
"""As in OPUS-MT: one token for the language of the target."""
PAIR = {"source_language": "eng_Latn", "target_language": "por_Latn"}
AROUND = {
    "both": (BOTH, SourceFrame((5,), (EOS,)), (6,)),
    "behind": (BEHIND, SourceFrame((), (EOS, 5)), (6, 9)),
}


def tokens(model: Model, text: str) -> list[int]:
    return list(Translator(model, "reference")._worker._source.encode(text))


def test_a_program_is_read_back_and_lacks_the_field_without_languages() -> None:
    assert b"languages" not in encode(TINY.program)
    for languages in (BOTH, BEHIND, SPOKEN):
        program = speaking(languages).program
        validate(program, TINY.tensors)
        assert decode(encode(program)) == program


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", AROUND)
@pytest.mark.parametrize("beam_size", [1, 3])
def test_the_engine_sees_the_tokens_of_both_languages(
    case: str, backend: Backend, beam_size: int
) -> None:
    """Beam search and greedy search begin with the token of the target, which is no result."""
    languages, frame, forced = AROUND[case]
    model = speaking(languages)
    program = model.program
    engine = load_engine(program, model.tensors, "reference")
    options = Options(beam_size=beam_size, scores=True, alignment="soft", **PAIR)
    for found in Translator(model, backend).translate(list(SENTENCES[:2]), options):
        source = frame.around(tokens(model, found.source))
        most = max_target_length(program, model.tensors, len(source))
        most = min(most, max_steps(program, model.tensors) - len(forced))
        (asked,) = requests([source], [most])
        asked = replace(asked, prefix=forced)
        ((best, *_),) = engine.beam([asked], BeamOptions(beam_size, alpha=program.alpha))
        assert found.best.ids == tuple(best.ids)
        assert found.best.scores is not None
        assert found.best.scores.log_probability == natural_log(sum(best.tokens))
        assert found.alignment is not None
        assert found.alignment.weights is not None
        assert len(found.alignment.weights) == len(found.best.ids)
        assert {len(row) for row in found.alignment.weights} <= {len(source)}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_given_translation_is_scored_after_the_token_of_its_language(backend: Backend) -> None:
    languages, frame, forced = AROUND["both"]
    model = speaking(languages)
    engine = load_engine(model.program, model.tensors, "reference")
    options = Options(normalization="none", **PAIR)
    source, given = SENTENCES[0], SENTENCES[1]
    target = [*forced, *tokens(model, given), EOS]
    path = paths([frame.around(tokens(model, source))], [model.program.start], [target])
    (wanted,) = engine.log_probabilities(path)
    found = Translator(model, backend).score(source, given, options)
    assert found.score == natural_log(sum(wanted[len(forced) :]))
    assert found.best.ids == tuple(target[len(forced) : -1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_drawn_translations_and_given_beginnings(backend: Backend) -> None:
    translator = Translator(speaking(BOTH), backend)
    other = Translator(speaking(BOTH), BACKENDS[backend == "reference"])
    drawn = Options(temperature=1, n_best=4, seed=3, scores=True, **PAIR)
    found = translator.translate(list(SENTENCES[:3]), drawn)
    assert found == other.translate(list(SENTENCES[:3]), drawn)
    elsewhere = Options(temperature=1, n_best=4, seed=3, scores=True, source_language="eng_Latn",
                        target_language="zho_Hans")  # fmt: skip
    assert found != translator.translate(list(SENTENCES[:3]), elsewhere)
    begun = Options(target_prefix="A dog", beam_size=2, n_best=2, **PAIR)
    for result in translator.translate(list(SENTENCES[:3]), begun):
        assert all(one.text.startswith("A dog") for one in result.translations)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_shortlist_need_not_have_the_token_of_the_language(backend: Backend) -> None:
    model = speaking(BOTH)
    size = Translator(model)._worker._target.size
    own = tokenizers_hash(model.source.model, model.target.model)
    offsets = np.minimum(np.arange(size + 1), 1).astype(np.int32)
    lists = Shortlist(5, False, own, offsets, np.array([9], np.int16), {})
    listed = dataclasses.replace(model, shortlist=lists)
    options = Options(shortlist=True, beam_size=2, **PAIR)
    for found in Translator(listed, backend).translate(list(SENTENCES[:2]), options):
        assert set(found.best.ids) <= {*range(5), 9}


def test_a_source_token_for_the_target_language_may_stand_in_the_text() -> None:
    model = speaking(SPOKEN)
    translator = Translator(model, "reference")
    plain = Translator(TINY, "reference")
    for text in SENTENCES:
        assert translator.translate(text) == plain.translate(text)
    found = translator.translate(SENTENCES[0], Options(target_language="fra"))
    program = replace(TINY.program, source_frame=SourceFrame((5,), (EOS,)))
    framed = Model("framed", ("en", "fr"), program, TINY.tensors, TINY.source, TINY.target, {})
    assert found == Translator(framed, "reference").translate(SENTENCES[0])
    with pytest.raises(OptionError, match="no token of their language: choose the target alone"):
        translator.translate("a", Options(source_language="en", target_language="fra"))


def test_defaults_and_what_a_translator_tells() -> None:
    codes = tuple(sorted(TOKENS))
    both, behind = Translator(speaking(BOTH), "reference"), Translator(speaking(BEHIND))
    assert both.languages == Told(codes, codes, None, None)
    assert behind.languages == Told(codes, codes, "eng_Latn", "por_Latn")
    assert Translator(speaking(SPOKEN)).languages == Told((), ("fra", "por"), "en", None)
    assert Translator(TINY).languages == Told((), (), "en", "pt")
    assert behind.translate(SENTENCES[0]) == behind.translate(SENTENCES[0], Options(**PAIR))


@pytest.mark.parametrize(
    ("given", "code"),
    [("por_Latn", "por_Latn"), ("por-latn", "por_Latn"), ("POR", "por_Latn"), ("eng", "eng_Latn")],
)
def test_codes_in_other_writings(given: str, code: str) -> None:
    assert code_of(given, TOKENS, "target") == code


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("zho", "no language 'zho' of the target: the closest of 4 are zho_Hans, zho_Hant"),
        ("prt_Latn", "the closest of 4 are eng_Latn, por_Latn"),
        ("", "no language ''"),
        ("x" * 1000, "no language 'xxx"),
    ],
)
def test_a_language_that_is_missing(given: str, told: str) -> None:
    with pytest.raises(LanguageError) as caught:
        code_of(given, TOKENS, "target")
    assert told in str(caught.value)
    assert len(str(caught.value)) < 250


def test_errors_of_a_run() -> None:
    translator = Translator(speaking(BOTH), "reference")
    with pytest.raises(OptionError, match="the language of the source is one of eng_Latn, por_L"):
        translator.translate("a")
    with pytest.raises(OptionError, match="model many: the language of the target is one of eng"):
        translator.score("a", "b", Options(source_language="eng"))
    with pytest.raises(OptionError, match="model many: no language 'fr' of the source"):
        translator.stream(["a"], Options(source_language="fr"))
    with pytest.raises(OptionError, match="model tiny has one pair of languages, en-pt: choose no"):
        Translator(TINY, "reference").translate("a", Options(target_language="pt"))
    with pytest.raises(OptionError, match="source_language is 3, not a str"):
        Options(source_language=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("languages", "told"),
    [
        (Languages(targets={}), "no language of the target"),
        (Languages(targets={"a": TargetLanguage(target=(10**6,))}), r"a: \[1000000\] are no tok"),
        (Languages(targets={"a": TargetLanguage(target=(EOS,))}), r"a: \[0\] are no tokens"),
        (Languages(targets={"a": TargetLanguage((-1,))}), r"a: \[-1\] are no tokens"),
        (Languages(targets=BOTH.targets, sources={"b": SourceFrame((10**6,))}), r"b: \[1000000\]"),
        (Languages(targets=BOTH.targets, source="eng_Latn"), "the default source 'eng_Latn' is no"),
        (Languages(targets=BOTH.targets, target="fra"), "the default target 'fra' is not among"),
        (Languages(targets={"a": TargetLanguage(target=(5,) * 2000)}), "2000 tokens before"),
        (Languages(targets={"a": TargetLanguage((5,) * 2000)}), "2001 tokens around"),
    ],
)
def test_programs_that_are_refused(languages: Languages, told: str) -> None:
    with pytest.raises(ProgramError, match=f"languages: .*{told}"):
        validate(replace(TINY.program, languages=languages), TINY.tensors)


@pytest.mark.parametrize("code", ["", "a b", "x" * 33, "é"])
def test_codes_of_another_form_are_refused(code: str) -> None:
    plain = json.loads(encode(speaking(SPOKEN).program))
    plain["languages"]["targets"] = {code: {}}
    with pytest.raises(ProgramError, match="not a valid program"):
        decode(json.dumps(plain))


def test_vectors_begin_with_the_token_of_the_language() -> None:
    model = speaking(BOTH)
    found = record(model, SENTENCES[0], steps=3, languages=("eng", "por"))
    (sentence,) = found.sentences
    assert sentence.source == [5, *tokens(model, SENTENCES[0]), EOS]
    assert sentence.target[0] == 6
    assert len(sentence.target) <= 3
    best = Translator(model, "reference").translate(SENTENCES[0], Options(**PAIR)).best
    whole = record(model, SENTENCES[0], languages=("eng_Latn", "por_Latn")).sentences[0].target
    assert tuple(whole[1 : 1 + len(best.ids)]) == best.ids


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_the_commands(tmp_path: Path) -> None:
    """Processes of the commands give the results of Python."""
    path = tmp_path / "many.safetensors"
    save(path, speaking(BOTH))
    assert load(path).program == speaking(BOTH).program
    translator = int8ref.load(path)
    chosen = ["-m", str(path), "-q", "--source-language", "eng", "--target-language", "por_Latn"]
    lines = "".join(f"{text}\n" for text in SENTENCES)
    for more, options in (
        ([], Options(**PAIR)),
        (["--beam-size", "3"], Options(beam_size=3, **PAIR)),
        (["--temperature", "1", "--seed", "5"], Options(temperature=1, seed=5, **PAIR)),
    ):
        done = run("int8ref.translate", *chosen, *more, text=lines)
        wanted = [result.text for result in translator.translate(list(SENTENCES), options)]
        assert (done.returncode, done.stdout.split("\n")[:-1]) == (0, wanted)
    done = run("int8ref.score", *chosen, text="A dog\tO sol\n")
    scored = translator.score("A dog", "O sol", Options(normalization="none", **PAIR))
    assert done.stdout == f"{scored.score}\n"
    done = run("int8ref.translate", *chosen, "--signature")
    assert done.stdout.endswith("|source-language:eng_Latn|target-language:por_Latn\n")
    vectors = tmp_path / "vectors.npz"
    assert run("int8ref.vectors", *chosen, "-o", str(vectors), "--steps", "1", "A dog").stderr == ""
    done = run("int8ref.translate", "-m", str(path), "-q", "A dog")
    assert (done.returncode, done.stdout) == (2, "")
    assert "choose it" in done.stderr
