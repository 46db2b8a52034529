"""Files that the installed CTranslate2 writes, of each kind of model and quantisation.

The reader gives the scores of CTranslate2, and finds the tokens around a source.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import real_ctranslate2 as real
import tiny_training
from log_probabilities import log_probabilities
from real_ctranslate2 import SHARED

from int8ref.files.model_file import load
from int8ref.program.program import SourceFrame
from weights_import import sources
from weights_import.__main__ import main
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.sources import ctranslate2_transformer

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


@pytest.mark.parametrize("codes", CODES)
def test_models_of_many_languages_are_refused(codes: str, tmp_path: Path) -> None:
    vocabulary = [*SHARED, *codes.split()]
    folder = real.write(tmp_path, "M2M100", vocabulary=vocabulary)
    with pytest.raises(CheckpointError) as caught:
        sources.read(folder)
    told = f"of many languages (its vocabulary has {', '.join(codes.split())})"
    assert told in str(caught.value)
    assert "needs the tokens" in str(caught.value)


def spoken(folder: Path, pair: tuple[str, str]) -> FloatModel:
    return ctranslate2_transformer.read(folder / "model.bin", pair)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("codes", CODES)
def test_a_pair_of_many_languages(codes: str, bare: bool, tmp_path: Path) -> None:
    source, target = codes.split()
    folder = real.write(tmp_path, "M2M100", vocabulary=[*SHARED, source, target])
    pair = (source.strip("_"), target.strip("_")) if bare else (source, target)
    model = spoken(folder, pair)
    prefix = [len(SHARED) + 1]
    assert model.generation.target_prefix == tuple(prefix)
    around = model.generation.frame.around(ids(SOURCE))
    wanted = real.scores(folder, [source, *SOURCE, "</s>"], [target, *TARGET])
    found = log_probabilities(model, around, [*prefix, *ids(TARGET)])
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert (model.frames, model.doubt) == ({}, "")


def test_a_decoder_that_begins_with_its_language(tmp_path: Path) -> None:
    folder = real.write(tmp_path, "mBART", vocabulary=[*SHARED, "en_XX", "pt_XX"])
    model = spoken(folder, ("en_XX", "pt_XX"))
    assert (model.generation.start, model.generation.target_prefix) == (len(SHARED) + 1, ())
    wanted = real.scores(folder, [*SOURCE, "</s>", "en_XX"], ["pt_XX", *TARGET])
    np.testing.assert_allclose(found(model), wanted[-len(TARGET) - 1 :], atol=2e-5)


def test_a_model_with_tokens_of_target_languages(tmp_path: Path) -> None:
    vocabulary = [*SHARED, ">>por<<", ">>fra<<"]
    folder = real.write(tmp_path, "Marian of transformers", vocabulary=vocabulary)
    assert sources.read(folder).generation.frame == SourceFrame((), tuple(ids(["</s>"])))
    model = spoken(folder, ("en", "fra"))
    wanted = real.scores(folder, [">>fra<<", *SOURCE, "</s>"], TARGET)
    np.testing.assert_allclose(found(model), wanted, atol=2e-5)


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("M2M100", ["__en__", "__pt__"], "no token of the language 'fr': the tokens of its"),
        ("Marian", [">>en<<"], "no token of the language 'fr': the tokens of its languages are >>"),
        ("OpenNMT", [], "no token of the language 'fr': it has no such token"),
        ("mBART", [], "no token of the language 'en': it has no such token"),
    ],
)
def test_a_language_without_a_token(
    kind: str, more: list[str], message: str, tmp_path: Path
) -> None:
    folder = real.write(tmp_path, kind, vocabulary=[*SHARED, *more])
    with pytest.raises(CheckpointError, match=message):
        spoken(folder, ("en", "fr"))


def test_a_start_that_is_chosen_is_refused(tmp_path: Path) -> None:
    folder = real.write(tmp_path, "mBART")
    with pytest.raises(CheckpointError, match="begins with a token that is chosen for it"):
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
