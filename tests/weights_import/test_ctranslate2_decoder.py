"""The reader of decoders alone of CTranslate2: equal to CTranslate2, which writes the files."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import real_ctranslate2_decoder as real
import tiny_ctranslate2 as tiny
from ctranslate2.specs.attention_spec import RotaryScalingType
from damage import FUZZ, damage
from extremes import agreement, imported
from hypothesis import given
from hypothesis import strategies as st
from real_ctranslate2 import QUANTISATIONS
from real_ctranslate2_decoder import HEADS, KINDS, POSITIONS, TOKENS, WIDTH

import int8ref
from weights_import import sources
from weights_import.__main__ import main
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.forward import forced
from weights_import.sources import ctranslate2_decoder
from weights_import.sources.ctranslate2_file import contents
from weights_import.sources.vocabulary import Piece, byte_pairs
from weights_import.tensors import Float64

TEXT = list("bacadaekl")
TARGET = [TOKENS.index(token) for token in TEXT]


def log_probabilities(model: FloatModel, target: list[int] = TARGET) -> Float64:
    """Return log P of every token behind <s> and behind each token of a text."""
    (logits,) = forced(model, [[]], [target])
    wide = logits.astype(np.float64)
    found: Float64 = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_what_ctranslate2_computes(kind: str, tmp_path: Path) -> None:
    model = sources.read(real.write(tmp_path, kind))
    wanted = real.log_probabilities(tmp_path, ["<s>", *TEXT])
    np.testing.assert_allclose(log_probabilities(model), wanted, atol=5e-5)
    assert model.warnings == []


@pytest.mark.parametrize(
    "kind", ["GPT-2", "OPT, post-norm", "StarCoder", "Mistral", "Qwen2", "BLOOM", "GPT-J"]
)
def test_the_integer_model_is_near(kind: str, tmp_path: Path) -> None:
    model = sources.read(real.write(tmp_path, kind))
    assert agreement(model, *imported(model)).divergence < 0.02


@pytest.mark.parametrize("quantisation", QUANTISATIONS)
@pytest.mark.parametrize("kind", ["GPT-2", "Qwen2"])
def test_each_quantisation(kind: str, quantisation: str, tmp_path: Path) -> None:
    model = sources.read(real.write(tmp_path, kind, quantisation, tied=True))
    wanted = real.log_probabilities(tmp_path, ["<s>", *TEXT])
    rough = quantisation not in ("float32", "int16")
    np.testing.assert_allclose(log_probabilities(model), wanted, atol=0.2 if rough else 1e-4)
    stored = model.tensors.stored
    assert stored("output.weight") is stored("target_embedding")


def test_what_a_model_says_of_itself(tmp_path: Path) -> None:
    folder = real.write(tmp_path, "Llama, shared keys")
    model = sources.read(folder)
    found = model.generation
    assert (found.start, found.eos, found.unk) == (1, 2, 0)
    assert (found.target_vocabulary, found.max_positions) == (len(TOKENS), 0)
    wanted = "tokenizer.model or tokenizer.json"
    assert (model.tokenizers, model.wanted, model.translates) == ({}, wanted, False)
    assert model.provenance["format"] == "CTranslate2"
    names = ["model.bin", "config.json", "vocabulary.json"]
    assert [path.name for path in sources.files(folder)] == names


@pytest.mark.parametrize(
    ("kind", "positions"),
    [("Mistral", 16), ("Phi-3", 20), ("GPT-2", POSITIONS), ("OpenNMT", 1024), ("Llama", 0)],
)
def test_what_limits_the_positions(kind: str, positions: int, tmp_path: Path) -> None:
    assert sources.read(real.write(tmp_path, kind)).generation.max_positions == positions


def test_tokens_of_other_names(tmp_path: Path) -> None:
    """A text may begin with the token that ends it, and need no token for the unknown."""
    named = {"bos_token": "</s>", "unk_token": ""}
    model = sources.read(real.write(tmp_path, "Qwen2", config=named))
    found = model.generation
    assert (found.start, found.eos, found.unk) == (2, 2, 0)
    wanted = real.log_probabilities(tmp_path, ["</s>", *TEXT])
    np.testing.assert_allclose(log_probabilities(model), wanted, atol=5e-5)


def tokenizer(tokens: list[str]) -> bytes:
    pieces = {token: Piece(-float(i)) for i, token in enumerate(tokens)}
    return byte_pairs(pieces, unk="<unk>", bos="<s>", eos="</s>")


def test_a_tokenizer_of_the_library(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="it reads the file")
    folder = real.write(tmp_path, "Llama")
    vocabulary = {token: i for i, token in enumerate(TOKENS)}
    words = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}
    told = {"model": words, "pre_tokenizer": {"type": "WhitespaceSplit"}}
    (folder / "tokenizer.json").write_text(json.dumps(told))
    model = sources.read(folder)
    assert tokenize(model, [" ".join(TOKENS[3:6])]) == [[3, 4, 5, 2]]
    assert folder / "tokenizer.json" in sources.files(folder)
    words["vocab"] = {token: i for i, token in enumerate(TOKENS[::-1])}
    (folder / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match=r"tokenizer.json: \d+ of its tokens have other ids"):
        sources.read(folder)


def test_texts(tmp_path: Path) -> None:
    folder = real.write(tmp_path, "Llama")
    listed = ["▁" if token == "l" else token for token in TOKENS]
    (folder / "vocabulary.json").write_text(json.dumps(listed))
    (folder / "tokenizer.model").write_bytes(tokenizer(listed))
    model = sources.read(folder)
    assert model.warnings == []
    assert tokenize(model, ["bad"]) == [[*map(listed.index, "▁bad"), 2]]
    assert [path.name for path in sources.files(folder)][-1] == "tokenizer.model"
    out = tmp_path / "made.safetensors"
    (tmp_path / "text").write_text("bad\nfed\ncafe a\n" * 9)
    arguments = [str(folder), "-o", str(out), "--calibration", str(tmp_path / "text"), "-q"]
    assert main(arguments) == 0
    assert int8ref.load(out) is not None


def test_tokens_that_the_tokenizer_lacks(tmp_path: Path) -> None:
    folder = real.write(tmp_path, "Llama")
    listed = [*TOKENS[:-3], "<|im_start|>", "<extra_id_0>", "madeupword0001"]
    (folder / "vocabulary.json").write_text(json.dumps(listed))
    (folder / "tokenizer.model").write_bytes(tokenizer(listed[:-3]))
    (warning,) = sources.read(folder).warnings
    assert warning.startswith("texts that hold '<|im_start|>' are cut like any text, because")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.model", tokenizer([*TOKENS[:3], "xy"]), r"1 of its pieces .*'xy'"),
        ("tokenizer.model", b"x", "tokenizer.model: SentencePiece model"),
        ("vocabulary.json", b'["<s>"]', r"\[15, 24\] embeddings for a vocabulary of 1"),
        ("vocabulary.json", b"{}", "vocabulary.json: ValidationError"),
        ("vocabulary.json", None, "no vocabulary.json beside it"),
        ("config.json", None, "no config.json beside it"),
        ("config.json", b'{"eos_token": null}', "config.json: eos_token"),
        ("config.json", b'{"bos_token": null}', "config.json: bos_token"),
        ("config.json", b'{"eos_token": "<end>"}', "vocabulary: no <end>"),
        ("config.json", b'{"bos_token": "<b>"}', "vocabulary: no <b>"),
        ("config.json", b'{"quantization_type": 1}', "quantization_type 1 .*by AWQ"),
        ("config.json", b'{"layer_norm_epsilon": 7}', "config.json: layer_norm_epsilon"),
    ],
)
def test_files_beside_it_that_are_refused(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    folder = real.write(tmp_path, "Llama")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        sources.read(folder)
    assert str(folder / "model.bin") in str(caught.value)


ATTENTION = "decoder/layer_1/self_attention"


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("OPT", {"with_relative_position": True}, "relative_position_keys: relative positions"),
        ("Llama", {"qk_norm": True}, "q_norm/gamma: norms of queries and keys, which"),
        ("Llama", {"pre_post_layer_norm": True}, "norms before and behind each sublayer"),
        ("Llama", {"activation": 6}, "activation 6, sigmoid, is not read"),
        ("Llama", {"head_dim": 5}, "rotary positions of 5 columns of 5"),
        ("Llama", {"rotary_dim": 8}, "rotary positions of 8 columns of 6"),
        ("Llama", {"rotary_dim": 3}, "rotary positions of 3 columns of 6"),
        ("Llama", {"rotary_base": 1.0}, "of 6 columns of 6 with the base 1"),
        ("Llama", {"rotary_scaling_type": 3}, "rotary positions that are scaled by kind 3"),
        ("Llama, longer", {"rotary_scaling_factor": 0.5}, "scaling_factor: 0.5, expected 1 to"),
        ("Llama", {"rotary_scaling_type": RotaryScalingType.Su}, "rotary_scaling_long_factor: ro"),
        ("Phi-3", {"max_position_embeddings": 21}, "scaled from 20 to 21 .longrope. are not read"),
        ("Llama", {"sliding_window": -1}, "sliding_window is -1, expected a whole number >= 0"),
        ("OPT", {"no_final_norm": True}, "missing decoder.norm.gain"),
    ],
)
def test_what_is_refused(kind: str, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = real.write(tmp_path, kind, **changes)
    with pytest.raises(CheckpointError, match=message):
        sources.read(folder)


PARTS = {
    f"{ATTENTION}/queries_scale": (0.5, "another scale of the scores"),
    "decoder/scale_outputs": (0.5, "a scale of the logits"),
    "decoder/final_logit_softcapping": (30.0, "logits that are pressed into a range"),
    "decoder/layer_0/layer_scalar": (0.5, "a scale of each layer"),
}


@pytest.mark.parametrize("name", PARTS)
def test_numbers_that_are_refused(name: str, tmp_path: Path) -> None:
    value, message = PARTS[name]
    folder = real.write(tmp_path, "Llama", parts={name: np.float32(value)})
    with pytest.raises(CheckpointError, match=f"{name}: {message}"):
        sources.read(folder)


@pytest.mark.parametrize("name", ["decoder/scale_outputs", "decoder/layer_0/layer_scalar"])
def test_numbers_that_change_nothing(name: str, tmp_path: Path) -> None:
    folder = real.write(tmp_path, "Llama", parts={name: np.float32(1)})
    wanted = real.log_probabilities(folder, ["<s>", *TEXT])
    np.testing.assert_allclose(log_probabilities(sources.read(folder)), wanted, atol=5e-5)


@pytest.mark.parametrize("told", [{}, {"rotary_scaling_factor": np.float32(8)}])
def test_positions_of_llama_3(told: dict[str, Any], tmp_path: Path) -> None:
    """CTranslate2 computes with the factor of the scale, which its own converter leaves out."""
    bounds = {"rotary_low_freq_factor": 1.0, "rotary_high_freq_factor": 4.0}
    scopes = [f"decoder/layer_{i}/self_attention" for i in range(real.LAYERS)]
    folder = real.write(
        tmp_path,
        "Llama",
        head_dim=16,
        rotary_scaling_type=RotaryScalingType.Llama3,
        original_max_position_embeddings=40,
        parts={f"{scope}/{name}": bounds[name] for scope in scopes for name in bounds},
    )
    stored = contents(folder / "model.bin").variables
    content = {name: variable.read() for name, variable in stored.items()}
    content |= {f"{scope}/{name}": told[name] for scope in scopes for name in told}
    packed = tiny.pack(content, named="TransformerDecoderSpec", revision=8)
    (folder / "model.bin").write_bytes(packed)
    model = sources.read(folder)
    text = TEXT * 5
    wanted = real.log_probabilities(folder, ["<s>", *text])
    found = log_probabilities(model, [TOKENS.index(token) for token in text])
    np.testing.assert_allclose(found, wanted, atol=5e-5)
    assert [w.startswith("the file lacks the factor") for w in model.warnings] == [True] * (
        not told
    )


def changed(folder: Path, old: bytes, new: bytes) -> Path:
    path = folder / "model.bin"
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (0, "num_heads is 0, expected a whole number >= 1"),
        (5, rf"linear_0/weight: \[72, 24\], expected \[60, {WIDTH}\] for 5 heads of queries and 5"),
        (30000, "head_dim is 0, expected"),
        (-1, "num_heads is -1"),
    ],
)
def test_heads_that_cannot_be(heads: int, message: str, tmp_path: Path) -> None:
    name = b"decoder/num_heads\0" + struct.pack("<BBI", 0, 2, 2)
    folder = real.write(tmp_path, "Llama")
    old, new = (name + struct.pack("<h", count) for count in (HEADS, heads))
    with pytest.raises(CheckpointError, match=message):
        sources.read(changed(folder, old, new))


def test_another_revision(tmp_path: Path) -> None:
    folder = real.write(tmp_path, "Llama")
    name = b"TransformerDecoderSpec\0"
    path = changed(folder, name + struct.pack("<I", 8), name + struct.pack("<I", 9))
    with pytest.raises(CheckpointError, match=r"revision 9, which is not read.*convert the check"):
        sources.read(path)


def test_a_width_that_no_model_has(tmp_path: Path) -> None:
    """The sinusoids of a file without a table take memory that its size does not bound."""
    folder = real.write(tmp_path, "OpenNMT")
    content = {
        "decoder/embeddings/weight": np.ones((1, 1 << 20), np.int8),
        "decoder/embeddings/weight_scale": np.ones(1, np.float32),
        "decoder/num_heads": np.int16(1),
        f"{ATTENTION.replace('1', '0')}/linear_0/weight": np.ones((6, 1 << 20), np.int8),
        f"{ATTENTION.replace('1', '0')}/linear_0/weight_scale": np.ones(1, np.float32),
        f"{ATTENTION.replace('1', '0')}/head_dim": np.int32(2),
        "decoder/layer_0/ffn/linear_0/weight": np.ones(1, np.float32),
    }
    packed = tiny.pack(content, named="TransformerDecoderSpec", revision=8)
    (folder / "model.bin").write_bytes(packed)
    (folder / "vocabulary.json").write_text('["</s>"]')
    with pytest.raises(CheckpointError, match="a width of 1048576, at most 32768"):
        sources.read(folder)


@FUZZ
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    folder = real.write(
        tmp_path, data.draw(st.sampled_from(["GPT-2", "Mistral", "OpenNMT, rotary"]))
    )
    path = folder / "model.bin"
    damage(data, [path, folder / "config.json", folder / "vocabulary.json"], 4000)
    ctranslate2_decoder.recognises(path)
    with contextlib.suppress(CheckpointError):
        ctranslate2_decoder.read(path)
