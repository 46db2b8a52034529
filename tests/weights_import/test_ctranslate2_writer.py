"""Files that the installed CTranslate2 writes, of each kind of model and quantisation.

The reader gives the scores of CTranslate2, and finds the tokens around a source.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import real_ctranslate2 as real
import sentencepiece
import tiny_training
from log_probabilities import log_probabilities
from real_ctranslate2 import SHARED

from int8ref.files.model_file import load
from int8ref.program.languages import Direction, LanguageError
from int8ref.program.program import SourceFrame
from weights_import import sources
from weights_import.__main__ import main
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.language_choice import spoken

SOURCE, TARGET = list("abcha"), list("bcdab")
AROUND = {
    "OpenNMT": ([], []),
    "OpenNMT-tf": (["<s>"], ["</s>"]),
    "Marian": ([], ["</s>"]),
    "Marian of transformers": ([], ["</s>"]),
    "BART": (["<s>"], ["</s>"]),
    "Pegasus": ([], ["</s>"]),
    "fairseq": ([], ["</s>"]),
}
"""Tokens before and after a source in the training of the model."""
ADDED = {"OpenNMT-tf", "Marian", "fairseq"}
"""Kinds of models for which CTranslate2 adds these tokens, not the tokenizer of the caller."""


def ids(tokens: list[str]) -> list[int]:
    return [SHARED.index(token) for token in tokens]


def found(model: FloatModel) -> list[float]:
    return log_probabilities(model, model.generation.frame.around(ids(SOURCE)), ids(TARGET))


@pytest.mark.parametrize("quantisation", real.QUANTISATIONS)
@pytest.mark.parametrize("kind", AROUND)
def test_it_computes_what_ctranslate2_computes(
    kind: str, quantisation: str, tmp_path: Path
) -> None:
    folder = real.write(tmp_path, kind, quantisation)
    model = sources.read(folder)
    before, after = AROUND[kind]
    frame = model.generation.frame
    assert (list(frame.before), list(frame.after)) == (ids(before), ids(after))
    source = SOURCE if kind in ADDED else [*before, *SOURCE, *after]
    wanted = real.scores(folder, source, TARGET)
    tolerance = 2e-5 if "16" not in quantisation or quantisation == "int16" else 5e-3
    np.testing.assert_allclose(found(model), wanted, atol=tolerance)
    assert model.doubt == ""


@pytest.mark.parametrize("kind", ["Marian of transformers", "BART", "Pegasus"])
def test_without_the_frame_the_scores_are_others(kind: str, tmp_path: Path) -> None:
    folder = real.write(tmp_path, kind)
    bare = real.scores(folder, SOURCE, TARGET)
    assert not np.allclose(found(sources.read(folder)), bare, atol=1e-2)


CODES = ["eng_Latn por_Latn", "__en__ __pt__", "en_XX pt_XX"]


def direction(model: FloatModel, source: str | None, target: str | None) -> Direction:
    languages = model.generation.languages
    assert languages is not None
    return languages.direction(languages.pair(source, target), model.generation.frame)


@pytest.mark.parametrize("codes", CODES)
def test_the_tokens_of_both_languages(codes: str, tmp_path: Path) -> None:
    """log P of CTranslate2 with the tokens of its callers, the end marks among them."""
    source, target = codes.split()
    vocabulary = [*SHARED, source, target]
    folder = real.write(tmp_path, "M2M100", vocabulary=vocabulary)
    model = sources.read(folder)
    way = direction(model, source.strip("_"), target.strip("_"))
    assert way.forced == (vocabulary.index(target),)
    wanted = real.scores(folder, [source, *SOURCE, "</s>"], [target, *TARGET])
    found = log_probabilities(model, way.frame.around(ids(SOURCE)), [*way.forced, *ids(TARGET)])
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert (model.frames, model.doubt, model.starts) == ({}, "", {})


def test_a_decoder_that_begins_with_its_language(tmp_path: Path) -> None:
    """mBART-cc25, whose decoder begins with the token of a language that the import chooses."""
    vocabulary = [*SHARED, "en_XX", "ro_RO"]
    folder = real.write(tmp_path, "mBART", vocabulary=vocabulary)
    model = sources.read(folder)
    with pytest.raises(CheckpointError, match="name the language by --target-language, one of en_"):
        spoken(model, folder, "en_XX", None)
    model = spoken(model, folder, "en", "ro")
    assert model.generation.start == vocabulary.index("ro_RO")
    way = direction(model, None, None)
    assert way.forced == ()
    wanted = real.scores(folder, [*SOURCE, "</s>", "en_XX"], ["ro_RO", *TARGET])
    found = log_probabilities(model, way.frame.around(ids(SOURCE)), ids(TARGET))
    np.testing.assert_allclose(found, wanted[-len(TARGET) - 1 :], atol=2e-5)
    with pytest.raises(LanguageError, match="no language 'en_XX' of the target"):
        direction(model, None, "en_XX")


def test_mbart_50_without_a_start_token(tmp_path: Path) -> None:
    folder = real.write(tmp_path, "mBART", vocabulary=[*SHARED, "en_XX", "pt_XX"])
    model = sources.read(folder)
    way = direction(model, "en_XX", "pt_XX")
    wanted = real.scores(folder, ["en_XX", *SOURCE, "</s>"], ["</s>", "pt_XX", *TARGET])
    found = log_probabilities(model, way.frame.around(ids(SOURCE)), [*way.forced, *ids(TARGET)])
    np.testing.assert_allclose(found, wanted[-len(found) :], atol=2e-5)


def test_a_model_with_tokens_of_target_languages(tmp_path: Path) -> None:
    vocabulary = [*SHARED, ">>por<<", ">>fra<<"]
    folder = real.write(tmp_path, "Marian of transformers", vocabulary=vocabulary)
    model = sources.read(folder)
    assert model.generation.frame == SourceFrame((), tuple(ids(["</s>"])))
    way = direction(model, None, "fra")
    wanted = real.scores(folder, [">>fra<<", *SOURCE, "</s>"], TARGET)
    found = log_probabilities(model, way.frame.around(ids(SOURCE)), ids(TARGET))
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert direction(model, None, None).frame == model.generation.frame


def test_no_text_has_the_tokens_of_languages(tmp_path: Path) -> None:
    vocabulary = [*SHARED, "eng_Latn", "por_Latn"]
    folder = real.write(tmp_path, "M2M100", vocabulary=vocabulary)
    tokenizer = sources.read(folder).tokenizers["target"]
    read = sentencepiece.SentencePieceProcessor(model_proto=tokenizer)
    assert not {len(SHARED), len(SHARED) + 1} & set(read.encode("eng_Latnab por_Latn"))
    assert read.decode([len(SHARED), SHARED.index("a"), len(SHARED) + 1]) == "a"


def test_a_start_that_is_chosen_is_refused(tmp_path: Path) -> None:
    folder = real.write(tmp_path, "mBART")
    with pytest.raises(
        CheckpointError,
        match="begins with a token that is chosen for it, and the vocabulary has no tokens",
    ):
        sources.read(folder)


def test_a_frame_that_nothing_tells_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = real.write(tmp_path / "model", "unknown")
    (tmp_path / "text").write_text("abc\nhad a\ng h\nbad\n" * 9)
    out = tmp_path / "made.safetensors"
    arguments = [str(folder), "-o", str(out), "--calibration", str(tmp_path / "text"), "-q"]
    assert main(arguments) == 1
    assert "--source-frame" in capsys.readouterr().err
    assert main([*arguments, "--source-frame", "eos"]) == 0
    assert load(out).program.source_frame == SourceFrame(after=(SHARED.index("</s>"),))
    assert main([*arguments, "--source-frame", "bos-eos"]) == 0
    assert load(out).program.source_frame == SourceFrame((0,), (SHARED.index("</s>"),))
    assert main([str(folder / "model.bin"), *arguments[1:], "--source-frame", "none"]) == 0
    assert load(out).program.source_frame == SourceFrame()


def test_a_frame_without_its_token_is_refused(tmp_path: Path) -> None:
    folder = real.write(tmp_path, "BART")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"bos_token": None}))
    with pytest.raises(CheckpointError, match="begins with the bos_token of config"):
        sources.read(folder)


def test_a_frame_is_asked_for_where_the_format_leaves_a_choice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_training.write(tmp_path)
    arguments = [str(tmp_path), "-o", str(tmp_path / "x.safetensors"), "--source-frame", "eos"]
    assert main(arguments) == 1
    assert "for tiny.safetensors it is told by the checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"multi_query_attention": True}, "multi_query_attention: one head of keys and values, wh"),
        ({"activation": 4}, r"activation 4, x sigmoid\(1.702 x\), is not read .supported: 0 relu"),
        ({"activation": 9}, "activation 9 is not read"),
    ],
)
def test_what_else_a_file_may_say(spec: dict[str, object], message: str, tmp_path: Path) -> None:
    folder = real.write(tmp_path, "OpenNMT", **spec)
    with pytest.raises(CheckpointError, match=message):
        sources.read(folder)
