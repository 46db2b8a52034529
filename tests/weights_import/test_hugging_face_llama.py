"""The reader of Llama models: against transformers, and what it refuses."""

from __future__ import annotations

import contextlib
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
from tiny_training import tokenizer

from weights_import import sources
from weights_import.calibrate import tokenize
from weights_import.float_model import CheckpointError
from weights_import.sources import hugging_face_llama, llama2c
from weights_import.sources.vocabulary import Piece, byte_pairs

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


@pytest.mark.parametrize("case", tiny.CHANGES)
def test_log_probabilities_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, **tiny.CHANGES[case]))
    found = log_probabilities(model, [], TARGET)[:-1]
    np.testing.assert_allclose(found, SCORES[case], atol=2e-5)


def test_the_base_of_positions_may_be_told_in_either_way(tmp_path: Path) -> None:
    newer = {"rope_parameters": {"rope_theta": 100.0}, "rope_theta": None}
    one = sources.read(tiny.write(tmp_path, **newer)).architecture
    assert one == sources.read(tiny.write(tmp_path, rope_theta=100.0)).architecture
    assert one.rotary == pytest.approx([1, 100 ** (-1 / 3), 100 ** (-2 / 3)])


def test_a_window_limits_the_positions(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, **tiny.CHANGES["mistral"]))
    assert model.architecture.max_positions == 32
    assert sources.read(tiny.write(tmp_path)).architecture.max_positions == tiny.POSITIONS


def test_its_tokenizer_is_beside_it(tmp_path: Path) -> None:
    """With fewer pieces than there are embeddings; more are refused."""
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gemma"}, "a model of kind 'gemma', which is not read; the kinds"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"rope_parameters": {"partial_rotary_factor": 0.25}}, "partial_rotary_factor"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "labels texts"),
        ({"auto_map": {"AutoModelForCausalLM": "x.Y"}}, "code of its own (auto_map)"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised by gptq"),
        ({"hidden_act": "relu6"}, "hidden_act"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters.rope_type"),
        ({"head_dim": 8}, "head_dim=8 (supported: 6)"),
        ({"num_key_value_heads": 3}, "heads=4 are no groups of key_heads=3"),
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
