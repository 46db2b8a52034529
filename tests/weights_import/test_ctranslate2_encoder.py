"""Encoders alone in CTranslate2's format: equal to CTranslate2 and to their definition."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import real_ctranslate2_encoder as real
import tiny_ctranslate2
import tiny_encoders as tiny
from damage import FUZZ, damage
from encoder_definitions import Model, pooled
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.program.program import SourceFrame
from weights_import import sources
from weights_import.__main__ import main
from weights_import.errors import CheckpointError
from weights_import.forward import outputs
from weights_import.pooling import pooled as with_pooling
from weights_import.sources.ctranslate2_file import contents
from weights_import.sources.ctranslate2_variables import Variables

CASES = ("bert", "roberta", "distilbert")
IDS = [2, 8, 13, 30, 44, 5, 20, 3]


@pytest.mark.parametrize("quantisation", ["float32", "float16", "int8"])
@pytest.mark.parametrize("case", CASES)
def test_it_computes_what_ctranslate2_computes(
    case: str, quantisation: str, tmp_path: Path
) -> None:
    folder = real.write(tmp_path, case, quantisation)
    encoder = ctranslate2.Encoder(str(folder), compute_type="float32")
    rows = np.array(encoder.forward_batch([IDS]).last_hidden_state)[0].astype(np.float64)
    (found,) = outputs(sources.read(folder), [IDS])
    np.testing.assert_allclose(found, pooled(rows, "mean"), atol=1e-4)
    (first,) = outputs(with_pooling(sources.read(folder), "cls"), [IDS])
    np.testing.assert_allclose(first, pooled(rows, "cls"), atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_definition(case: str, tmp_path: Path) -> None:
    model = sources.read(real.write(tmp_path, case))
    defined = Model(tiny.tensors(tiny.CASES[case]), tiny.CASES[case])
    batch = [IDS, [2, 3]]
    for ids, found in zip(batch, outputs(model, batch), strict=True):
        np.testing.assert_allclose(found, pooled(defined.rows(ids), "mean"), atol=1e-4)


def test_what_the_file_tells(tmp_path: Path) -> None:
    folder = real.write(tmp_path, "bert")
    model = sources.read(folder)
    generation = model.generation
    assert generation.frame == SourceFrame((2,), (3,))
    assert (generation.eos, generation.unk, generation.max_positions) == (3, 1, tiny.POSITIONS)
    assert model.tokenizers == {}
    assert model.provenance["format"] == "CTranslate2"
    assert "their mean is taken; --pooling changes this" in model.warnings[0]
    named = {path.name for path in sources.files(folder)}
    assert named == {"model.bin", "config.json", "vocabulary.json"}


def tokenizer() -> dict[str, object]:
    """Return the tokenizer.json that `--copy_files` puts beside the model."""
    marks = {name: {"id": name, "ids": [i], "tokens": [name]} for name, i in
             (("[CLS]", 2), ("[SEP]", 3))}  # fmt: skip
    first, last = ({"SpecialToken": {"id": name, "type_id": 0}} for name in marks)
    around = [first, {"Sequence": {"id": "A", "type_id": 0}}, last]
    return {
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100,
                  "vocab": {token: i for i, token in enumerate(tiny.TOKENS)}},
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": around, "pair": around,
                           "special_tokens": marks},
    }  # fmt: skip


def test_a_text_in_integers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers", reason="it cuts the texts")
    folder = real.write(tmp_path / "model", "bert")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    (folder / "modules.json").write_text(json.dumps([
        {"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
        {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"},
    ]))  # fmt: skip
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    model = sources.read(folder)
    assert model.warnings == []
    assert folder / "tokenizer.json" in sources.files(folder)
    lines = tmp_path / "lines.txt"
    lines.write_text("The cat sat.\na mat\nthe cat, the mat\n")
    out = tmp_path / "x.safetensors"
    assert main([str(folder), "-o", str(out), "--calibration", str(lines), "-q"]) == 0
    told = json.loads((folder / "vocabulary.json").read_text())
    (folder / "vocabulary.json").write_text(json.dumps([*told[1:], told[0]]))
    with pytest.raises(CheckpointError, match="so it is the tokenizer of another model"):
        sources.read(folder)


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = real.write(tmp_path, "bert") / "model.bin"

    def refused(changed: str, become: str, message: str) -> None:
        told = contents(path).variables
        told = {name.replace(changed, become): value for name, value in told.items()}
        with monkeypatch.context() as patch:
            patch.setattr(
                "weights_import.sources.ctranslate2_encoder.Variables", lambda _: Variables(told)
            )
            with pytest.raises(CheckpointError) as caught:
                sources.read(path)
        assert message in str(caught.value)
        assert str(path) in str(caught.value)

    refused("pre_norm", "lost", "norms before its sublayers is not read")
    refused("scale_embeddings", "lost", "whose embeddings are scaled is not read")
    refused("encoder/position_encodings", "lost", "missing encoder/position_encodings/encodings")
    refused("embeddings_merge", "lost", "[2, 24] are merged by 0, not added")
    refused("embeddings_0", "lost", "no embeddings for a vocabulary of")
    refused("linear_1", "lost", "missing encoder.0.self.output.weight")
    refused("activation", "q_norm", "norms of queries and keys, which is not read")
    (path.parent / "vocabulary.json").write_text(
        json.dumps([f"t{i}" for i in range(len(tiny.TOKENS))])
    )
    with pytest.raises(CheckpointError, match=r"no marks around a text, such as \[CLS\] and"):
        sources.read(path)
    (path.parent / "vocabulary.json").unlink()
    with pytest.raises(CheckpointError, match=r"no vocabulary\.json beside it"):
        sources.read(path)
    (path.parent / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json beside it"):
        sources.read(path)
    packed = tiny_ctranslate2.pack({}, named="TransformerEncoderSpec", revision=2)
    path.write_bytes(packed)
    with pytest.raises(CheckpointError, match="TransformerEncoderSpec of revision 2, which is not"):
        sources.read(path)


@settings(FUZZ, max_examples=25)
@given(data=st.data(), case=st.sampled_from(CASES))
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject, case: str) -> None:
    folder = real.write(tmp_path, case)
    damage(data, [folder / "model.bin", folder / "config.json"], 6000)
    with contextlib.suppress(CheckpointError):
        sources.read(folder)
