"""The reader of Llama models: equal to transformers; unsupported files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tiny_llama as tiny
from damage import FUZZ, damage
from hypothesis import given
from hypothesis import strategies as st
from log_probabilities import log_probabilities
from safetensors.numpy import load_file, save_file
from tiny_training import tokenizer

from weights_import import sources
from weights_import.__main__ import main
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.operations.attention import Attention
from weights_import.sources import hugging_face_llama, llama2c
from weights_import.sources.hugging_face_tokenizer import WANTED
from weights_import.sources.vocabulary import Piece, byte_pairs, padded

TARGET = [4, 5, 6, 3, 11, 9, 2, 7]
# log P of each token of TARGET after <s>, by transformers 4.57.6 in float32.
SCORES = {
    "llama": [-2.65792, -6.20064, -4.31635, -4.06908, -9.97685, -5.00846, -6.31023, -6.91662],
    "tied, own heads": [
        -6.09205, -8.20729, -5.93242, -6.16201, -2.8392, -6.65307, -4.20595, -5.31511,
    ],
    "biases, another base": [
        -4.57725, -5.94745, -2.00241, -3.65886, -5.8483, -8.15296, -10.02416, -0.28079,
    ],
    "gelu, newer positions": [
        -2.56569, -6.23351, -3.13765, -4.19514, -9.09081, -5.24076, -10.54691, -6.53118,
    ],
    "mistral": [-2.65792, -6.20064, -4.31635, -4.06908, -9.97685, -5.00846, -6.31023, -6.91662],
}  # fmt: skip


def rotary(model: FloatModel) -> tuple[float, ...]:
    """Return the frequencies of the first attention."""
    (first, *_) = (one for one in model.program.decoder if isinstance(one, Attention))
    return first.heads.rotary


@pytest.mark.parametrize("case", tiny.CHANGES)
def test_log_probabilities_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, **tiny.CHANGES[case]))
    found = log_probabilities(model, [], TARGET)[:-1]
    np.testing.assert_allclose(found, SCORES[case], atol=2e-5)


def test_the_base_of_positions_may_be_told_in_either_way(tmp_path: Path) -> None:
    newer = {"rope_parameters": {"rope_theta": 100.0}, "rope_theta": None}
    one = sources.read(tiny.write(tmp_path, **newer))
    assert one.program == sources.read(tiny.write(tmp_path, rope_theta=100.0)).program
    assert rotary(one) == pytest.approx([1, 100 ** (-1 / 3), 100 ** (-2 / 3)])


def test_its_tokenizer_is_beside_it(tmp_path: Path) -> None:
    """The tokenizer may have fewer pieces than there are embeddings, but not more."""
    path, beside = tiny.write(tmp_path), tmp_path / "tokenizer.model"
    with pytest.raises(CheckpointError, match="no target tokenizer"):
        tokenize(sources.read(path), ["a"])
    pieces = [*llama2c.NAMES.values(), "\u2581", *"abcdefgh"]
    names = {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}

    def write(count: int) -> None:
        kept = {piece: Piece(-float(i)) for i, piece in enumerate(pieces[:count])}
        beside.write_bytes(byte_pairs(kept, **names))

    write(10)
    assert [f.name for f in sources.files(tmp_path)] == [path.name, "config.json", beside.name]
    model = sources.read(path)
    assert tokenize(model, ["cab"]) == [[3, 6, 4, 5, 2]]
    made = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["target"])
    assert (made.vocab_size(), made.is_control(12), made.decode([4, 12])) == (13, True, "a")
    write(12)
    assert len(sources.read(tiny.write(tmp_path)).tokenizers["target"]) > beside.stat().st_size
    beside.write_bytes(tokenizer())
    with pytest.raises(CheckpointError, match=r"tokenizer.model: .* pieces for 13 embeddings"):
        sources.read(path)
    beside.write_bytes(b"\x0a\x7f")
    with pytest.raises(CheckpointError, match=r"tokenizer.model: SentencePiece model: IndexError"):
        sources.read(path)


def rewritten(path: Path, **more: Any) -> Path:
    """Write the checkpoint with more tensors.  In their names, __ replaces the point."""
    content = load_file(path) | {name.replace("__", "."): value for name, value in more.items()}
    save_file(content, path)
    return path


def test_frequencies_that_older_files_store(tmp_path: Path) -> None:
    wanted = sources.read(tiny.write(tmp_path))
    right = np.array(rotary(wanted), np.float16)
    at = "model__layers__{}__self_attn__rotary_emb__inv_freq"
    path = rewritten(tmp_path / "model.safetensors", **{at.format(0): right, at.format(1): right})
    found = sources.read(path)
    assert (found.tensors.keys(), found.warnings) == (wanted.tensors.keys(), [])
    rewritten(path, **{at.format(1): right / 4})
    (warning,) = sources.read(path).warnings
    assert "layers.1.self_attn.rotary_emb.inv_freq differs from the configuration" in warning


@pytest.mark.parametrize(
    "scaling",
    [
        {"type": "default"},
        {"rope_type": "default"},
        {"type": "dynamic", "factor": 4.0},
        {"rope_type": "default", "type": "default", "rope_theta": 10000.0},
    ],
)
def test_a_scaling_that_scales_nothing(scaling: dict[str, Any], tmp_path: Path) -> None:
    wanted = sources.read(tiny.write(tmp_path))
    found = sources.read(tiny.write(tmp_path, rope_scaling=scaling))
    assert (found.program, found.generation) == (wanted.program, wanted.generation)


def test_the_body_alone_is_a_model_where_the_head_is_tied(tmp_path: Path) -> None:
    tied = tiny.CHANGES["tied, own heads"]
    path = tiny.write(tmp_path, **tied)
    wanted = sources.read(path).tensors
    save_file({n.removeprefix("model."): v for n, v in load_file(path).items()}, path)
    assert sources.read(path).tensors.keys() == wanted.keys()
    (tmp_path / "config.json").write_text(json.dumps(tiny.CONFIG | {"num_key_value_heads": 4}))
    with pytest.raises(CheckpointError, match=r"no lm_head.weight: the file has the body of a mod"):
        sources.read(path)


def test_a_head_that_is_not_the_embedding(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, **tiny.CHANGES["tied, own heads"])
    table = load_file(path)["model.embed_tokens.weight"]
    sources.read(rewritten(path, lm_head__weight=table))
    with pytest.raises(CheckpointError, match="differ, but the configuration says that they are"):
        sources.read(rewritten(path, lm_head__weight=table + 1))


def test_several_end_marks(tmp_path: Path) -> None:
    assert sources.read(tiny.write(tmp_path, eos_token_id=[2])).warnings == []
    path = tiny.write(tmp_path, eos_token_id=[5, 2])
    assert sources.read(path).generation.eos == 5
    write_tokenizer(tmp_path, 13)
    model = sources.read(path)
    assert (model.generation.eos, model.generation.more_eos) == (2, (5,))
    with pytest.raises(CheckpointError, match=r"its end mark is token 2, that of the model 5"):
        sources.read(tiny.write(tmp_path, eos_token_id=5))
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [2, 7]}')
    assert sources.read(path).generation.ends == (2, 7)


def write_tokenizer(folder: Path, count: int) -> None:
    """Write a tokenizer.model of `count` pieces."""
    pieces = [*llama2c.NAMES.values(), "\u2581", *"abcdefghi"][:count]
    names = {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}
    kept = {piece: Piece(-float(i)) for i, piece in enumerate(pieces)}
    (folder / "tokenizer.model").write_bytes(byte_pairs(kept, **names))


ADDED: dict[str, Any] = {
    "added_tokens.json": {"<|im_start|>": 11, "<|im_end|>": 12},
    "tokenizer.json": {"added_tokens": [{"id": 11, "content": "<|im_start|>", "special": True}]},
    "tokenizer_config.json": {"added_tokens_decoder": {"11": {"content": "<|im_start|>"}}},
}


@pytest.mark.parametrize("name", ADDED)
def test_tokens_that_were_added_are_never_cut(name: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path)
    write_tokenizer(tmp_path, 11)
    harmless = [{"id": i, "content": t} for i, t in enumerate(["<unk>", "<s>", "</s>", "[PAD]"])]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": harmless}))
    assert tokenize(sources.read(path), ["a"]) == [[3, 4, 2]]
    (tmp_path / name).write_text(json.dumps(ADDED[name]))
    model = sources.read(path)
    assert tokenize(model, ["a<|im_start|>a"]) == [[3, 4, 11, 4, 2]]
    assert tokenize(model, ["<|im_start|>"]) == [[3, 11, 2]]
    (tmp_path / name).write_text("[]")
    with pytest.raises(CheckpointError, match=f"{name}: not a JSON object"):
        sources.read(path)


def test_special_pieces_and_a_text_without_a_begin_are_told(tmp_path: Path) -> None:
    path = tiny.write(tmp_path)
    names = {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}
    kept = {p: Piece(-float(i)) for i, p in enumerate([*llama2c.NAMES.values(), "\u2581", "a"])}
    (tmp_path / "tokenizer.model").write_bytes(padded(byte_pairs(kept, **names), 6))
    told = {"added_tokens_decoder": {"5": {"content": "<unused5>"}}, "add_bos_token": False}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    found = sources.read(path).warnings
    assert found[0] == "texts that hold '<unused5>' are cut like any text"
    assert "add_bos_token" in found[1]


def test_without_its_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.write(tmp_path)
    (tmp_path / "target.spm").write_bytes(tokenizer())
    (tmp_path / "bpe.codes").write_text("{}")
    arguments = [str(tmp_path), "-o", str(tmp_path / "x.safetensors"), "-q"]
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert f"looked for {WANTED}; bpe.codes there cannot be used" in told
    assert ".spm" not in told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gemma3"}, "a model of kind 'gemma3', which is not read, because"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"rope_parameters": {"partial_rotary_factor": 0.25}}, "partial_rotary_factor"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "labels texts"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised by gptq"),
        ({"hidden_act": "relu6"}, "hidden_act"),
        ({"rope_scaling": {"type": "linear", "factor": -2.0}}, "rope_scaling.factor"),
        ({"rope_parameters": {"rope_type": "mrope"}}, "rope_parameters.rope_type"),
        ({"head_dim": 8}, "decoder.0.self.query.weight [24, 24], expected [32, 24]"),
        ({"num_key_value_heads": 3}, "decoder.0.self.context: heads=4 are no groups of 3"),
        ({"num_attention_heads": 5, "num_key_value_heads": 5}, "d_model=24 is not divisible"),
        ({"eos_token_id": 13}, "eos=13 is outside a vocabulary of 13"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, **({"num_key_value_heads": 2} | changes))
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_bias": True}, "0 biases for 8 matrices of self_attn, where the conf"),
        ({"mlp_bias": True}, "0 biases for 6 matrices of mlp, where the configuration tells of 6"),
        ({"hidden_size": 48}, "wrong shape target_embedding [13, 24], expected [13, 48]"),
        ({"num_key_value_heads": 4}, "wrong shape decoder.0.self.key.weight [12, 24], expected ["),
        ({"num_hidden_layers": 3}, "missing decoder.2.self.query.weight"),
        ({"num_hidden_layers": 1}, "unused model.layers.1.input_layernorm.weight"),
    ],
)
def test_tensors_that_are_not_those_of_the_configuration(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    content = tiny.write(tmp_path).read_bytes()
    path = tiny.write(tmp_path, **changes)
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)


@FUZZ
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tiny.write(tmp_path)
    damage(data, [path, tmp_path / "config.json"], 4000)
    hugging_face_llama.recognises(path)
    with contextlib.suppress(CheckpointError):
        hugging_face_llama.read(path)
