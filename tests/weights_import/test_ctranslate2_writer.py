"""Files that the installed CTranslate2 writes, of each kind of model and quantisation.

The reader gives the scores of CTranslate2, and finds the tokens around a source.
"""

from __future__ import annotations

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

SOURCE, TARGET = list("abcha"), list("bcdab")
AROUND = {
    "OpenNMT": ([], []),
    "OpenNMT-tf": (["<s>"], ["</s>"]),
    "Marian": ([], ["</s>"]),
    "Marian of transformers": ([], ["</s>"]),
    "BART": (["<s>"], ["</s>"]),
    "Pegasus": ([], ["</s>"]),
}
"""Tokens before and after a source in the training of the model."""
ADDED = {"OpenNMT-tf", "Marian"}
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


@pytest.mark.parametrize("code", ["eng_Latn por_Latn", "__en__ __pt__", "en_XX pt_XX"])
def test_models_of_many_languages_are_refused(code: str, tmp_path: Path) -> None:
    vocabulary = [*SHARED, *code.split()]
    folder = real.write(tmp_path, "M2M100", vocabulary=vocabulary)
    with pytest.raises(CheckpointError, match=r"many languages .*needs the tokens"):
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
        ({"multi_query_attention": True}, "one head of keys and values, which is not read"),
    ],
)
def test_what_else_a_file_may_say(spec: dict[str, object], message: str, tmp_path: Path) -> None:
    folder = real.write(tmp_path, "OpenNMT", **spec)
    with pytest.raises(CheckpointError, match=message):
        sources.read(folder)
