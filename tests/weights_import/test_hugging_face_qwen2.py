"""The reader of Qwen2 models: equal to the definition and to transformers; unsupported files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_llama as tiny
from damage import FUZZ, damage
from decoder_checks import assert_logits_of_transformers
from hypothesis import given
from hypothesis import strategies as st
from log_probabilities import log_probabilities
from safetensors.numpy import load_file, save_file

from weights_import import sources
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.forward import forced
from weights_import.sources import hugging_face_qwen2
from weights_import.sources.hugging_face_tokenizer import WANTED
from weights_import.tensors import Float32, Float64

TARGET = [4, 5, 6, 3, 11, 9, 2, 7]
CHANGES: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "tied, own heads": {"tie_word_embeddings": True, "num_key_value_heads": tiny.HEADS},
    "newer positions": {
        "rope_theta": None,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        "rms_norm_eps": 0.01,
    },
}
# log P of each token of TARGET after <s>, by transformers 5.24.0 in float32.
SCORES = {
    "qwen2": [-6.35964, -6.41647, -4.42558, -2.14471, -3.29391, -6.97237, -5.72196, -3.80094],
    "tied, own heads": [
        -7.82442, -6.57482, -6.6453, -2.39064, -3.75083, -12.57371, -8.24779, -2.53715,
    ],
    "newer positions": [
        -6.34035, -6.65806, -4.32622, -2.42707, -2.83074, -7.05901, -3.31289, -1.40533,
    ],
}  # fmt: skip


def write(folder: Path, **changes: Any) -> Path:
    return tiny.write(folder, **(tiny.QWEN2 | changes))


def normed(x: Float64, gain: Float64, epsilon: float) -> Float64:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * gain


def rotated(x: Float64, base: float) -> Float64:
    """Heads [positions, heads, size].  RoFormer, Eq. 34: columns i and i + size / 2 are a pair."""
    half = x.shape[-1] // 2
    angles = np.arange(len(x))[:, None] / base ** (np.arange(half) / half)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def attended(q: Float64, k: Float64, v: Float64) -> Float64:
    """Causal softmax attention of heads [positions, heads, size], of which some share keys."""
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    scores = np.einsum("qhc,khc->hqk", q, k) / q.shape[-1] ** 0.5
    scores[:, np.triu_indices(len(q), 1)[0], np.triu_indices(len(q), 1)[1]] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("hqk,khc->qhc", weights, v).reshape(len(q), -1)


def defined(stored: dict[str, Float32], config: dict[str, Any], ids: list[int]) -> Float64:
    """Return the logits [positions, vocabulary] in float64.  Yang et al. 2024, section 2.2.1."""
    w = {name: tensor.astype(np.float64) for name, tensor in stored.items()}
    epsilon = config["rms_norm_eps"]
    base = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]

    def heads(x: Float64, name: str) -> Float64:
        product = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
        return product.reshape(len(x), -1, tiny.HEAD_SIZE)

    x = w["model.embed_tokens.weight"][ids]
    for i in range(config["num_hidden_layers"]):
        at, attention = f"model.layers.{i}", f"model.layers.{i}.self_attn"
        y = normed(x, w[f"{at}.input_layernorm.weight"], epsilon)
        q, k, v = (heads(y, f"{attention}.{part}_proj") for part in "qkv")
        x = x + attended(rotated(q, base), rotated(k, base), v) @ w[f"{attention}.o_proj.weight"].T
        y = normed(x, w[f"{at}.post_attention_layernorm.weight"], epsilon)
        gate = y @ w[f"{at}.mlp.gate_proj.weight"].T
        hidden = gate / (1 + np.exp(-gate)) * (y @ w[f"{at}.mlp.up_proj.weight"].T)
        x = x + hidden @ w[f"{at}.mlp.down_proj.weight"].T
    head = w.get("lm_head.weight", w["model.embed_tokens.weight"])
    return normed(x, w["model.norm.weight"], epsilon) @ head.T


@pytest.mark.parametrize("case", CHANGES)
def test_logits_are_those_of_the_definition(case: str, tmp_path: Path) -> None:
    path = write(tmp_path, **CHANGES[case])
    config = json.loads((tmp_path / "config.json").read_text())
    model = sources.read(path)
    targets = [TARGET, TARGET[:1], []]
    for target, found in zip(targets, forced(model, [[]] * 3, targets), strict=True):
        wanted = defined(load_file(path), config, [config["bos_token_id"], *target])
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("case", CHANGES)
def test_log_probabilities_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(write(tmp_path, **CHANGES[case]))
    found = log_probabilities(model, [], TARGET)[:-1]
    np.testing.assert_allclose(found, SCORES[case], atol=2e-5)


@pytest.mark.parametrize("case", CHANGES)
def test_logits_are_those_of_an_installed_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(write(tmp_path, **CHANGES[case]))
    assert_logits_of_transformers(model, tmp_path, TARGET)


def test_tied_matrices_are_one_tensor(tmp_path: Path) -> None:
    tensors = sources.read(write(tmp_path, tie_word_embeddings=True)).tensors
    assert tensors.stored("output.weight") is tensors.stored("target_embedding")


WINDOWS: list[dict[str, Any]] = [
    {"sliding_window": 4},
    {"sliding_window": None},
    {"use_sliding_window": True, "sliding_window": tiny.POSITIONS, "max_window_layers": 0},
    {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": tiny.LAYERS},
    {"use_sliding_window": True, "sliding_window": 4, "layer_types": ["full_attention"] * 2},
    {"sliding_window": 4, "layer_types": ["full_attention", "sliding_attention"]},
]


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_that_hides_nothing(window: dict[str, Any], tmp_path: Path) -> None:
    wanted = sources.read(write(tmp_path))
    found = sources.read(write(tmp_path, **window))
    assert (found.program, found.generation) == (wanted.program, wanted.generation)
    assert found.generation.max_positions == tiny.POSITIONS


def test_several_end_marks(tmp_path: Path) -> None:
    model = sources.read(write(tmp_path, eos_token_id=[5, 2]))
    assert model.generation.eos == 5
    assert model.generation.ends == (5, 2)


def test_ids_need_no_tokenizer(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "merges.txt").write_text("a b\n")
    model = sources.read(tmp_path)
    assert (model.tokenizers, model.wanted) == ({}, WANTED)
    assert tokenize(model, [[4, 5]]) == [[4, 5]]
    assert model.provenance["format"] == "Hugging Face Qwen2"
    assert sources.files(tmp_path)[0] == path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_types": ["chunked_attention"]}, "layer_types"),
        ({"rope_scaling": {"type": "mrope", "factor": 4.0}}, "rope_scaling.type"),
        ({"rope_parameters": {"rope_type": "mrope"}}, "rope_parameters.rope_type"),
        ({"hidden_act": "relu6"}, "hidden_act"),
        ({"head_dim": 8}, "decoder.0.self.query.weight [24, 24], expected [32, 24]"),
        ({"num_key_value_heads": 3}, "heads=4 are no groups of 3"),
        ({"num_attention_heads": 5, "num_key_value_heads": 5}, "d_model=24 is not divisible"),
        ({"eos_token_id": 13}, "eos=13 is outside a vocabulary of 13"),
        ({"bos_token_id": 13}, "start=13 is outside a vocabulary of 13"),
        ({"architectures": ["Qwen2ForSequenceClassification"]}, "labels texts"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised by gptq"),
        ({"model_type": "qwen3_moe"}, "a model of kind 'qwen3_moe', which is not read, because"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


BIAS = np.zeros(tiny.WIDTH, np.float32)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("self_attn.q_proj.bias", None, "1 biases for 2 matrices of self_attn.q_proj, where the"),
        ("self_attn.o_proj.bias", BIAS, "matrices of self_attn.o_proj, where the configuration t"),
        ("mlp.up_proj.bias", BIAS, "1 biases for 6 matrices of mlp, where the configuration tell"),
        ("self_attn.k_proj.bias", BIAS, "wrong shape decoder.1.self.key.bias [24], expected [12]"),
        ("self_attn.q_norm.weight", BIAS, "unused model.layers.1.self_attn.q_norm.weight [24]"),
        ("input_layernorm.bias", BIAS, "unused model.layers.1.input_layernorm.bias [24]"),
        ("mlp.up_proj.weight", BIAS, "wrong shape decoder.1.ffn.inner.weight [24], expected [20,"),
        ("input_layernorm.weight", None, "missing decoder.1.self.norm.gain [24]"),
        (
            "input_layernorm.weight",
            BIAS + np.float32(np.inf),
            "not finite decoder.1.self.norm.gain",
        ),
    ],
)
def test_other_tensors(name: str, tensor: Float32 | None, message: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    content = load_file(path)
    content.pop(f"model.layers.1.{name}", None)
    save_file(content if tensor is None else content | {f"model.layers.1.{name}": tensor}, path)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)


@FUZZ
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = write(tmp_path)
    damage(data, [path, tmp_path / "config.json"], 4000)
    hugging_face_qwen2.recognises(path)
    with contextlib.suppress(CheckpointError):
        hugging_face_qwen2.read(path)
