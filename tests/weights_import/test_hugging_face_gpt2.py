"""The reader of GPT-2 models: equal to the definition and to transformers; unsupported files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_gpt2 as tiny
from damage import FUZZ, damage
from decoder_checks import assert_logits_of_transformers, integer_loss, written
from decoder_definitions import activated
from hypothesis import given
from hypothesis import strategies as st
from log_probabilities import log_probabilities
from safetensors.numpy import load_file

from weights_import import sources
from weights_import.__main__ import main
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.forward import forced
from weights_import.sources import hugging_face_gpt2, llama2c
from weights_import.sources.hugging_face_tokenizer import WANTED
from weights_import.sources.vocabulary import Piece, byte_pairs
from weights_import.tensors import Float32, Float64

TARGET = [4, 5, 6, 3, 11, 9, 2, 7]
# log P of each token of TARGET after token 1, by transformers 5.24.0 in float32.
SCORES = {
    "gpt2": [-7.00027, -6.86066, -9.82839, -1.4792, -1.25401, -7.21666, -3.18769, -0.79719],
    "gelu, inner": [
        -4.21138, -6.9063, -10.59154, -5.04788, -4.91749, -9.13693, -2.51524, -1.07103,
    ],
    "relu, untied": [
        -10.04143, -7.12369, -10.43216, -6.21807, -4.28142, -5.08399, -3.17579, -6.27854,
    ],
    "scores by layer": [
        -7.00027, -6.8991, -9.65581, -1.99303, -1.40141, -6.94749, -2.94056, -0.64819,
    ],
    "tanh, epsilon": [
        -7.02632, -6.88783, -9.8564, -1.45304, -1.24981, -7.27126, -3.18043, -0.83644,
    ],
}  # fmt: skip


def defined(stored: dict[str, Float32], config: dict[str, Any], ids: list[int]) -> Float64:
    """Return the logits [positions, vocabulary] in float64.  Radford et al. 2018 and 2019: the
    Transformer of section 3.1, with the norms of section 2.3."""
    w = {name.removeprefix("transformer."): x.astype(np.float64) for name, x in stored.items()}

    def normed(x: Float64, name: str) -> Float64:
        c = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((c**2).mean(-1, keepdims=True) + config["layer_norm_epsilon"])
        return c / deviation * w[f"{name}.weight"] + w[f"{name}.bias"]

    def product(x: Float64, name: str) -> Float64:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["wte.weight"][ids] + w["wpe.weight"][: len(ids)]
    for i in range(config["n_layer"]):
        at = f"h.{i}"
        fused = product(normed(x, f"{at}.ln_1"), f"{at}.attn.c_attn")
        divisor = i + 1 if config["scale_attn_by_inverse_layer_idx"] else 1
        if config["scale_attn_weights"]:
            divisor *= (x.shape[1] / config["n_head"]) ** 0.5
        x = x + product(attended(fused, config["n_head"], divisor), f"{at}.attn.c_proj")
        hidden = product(normed(x, f"{at}.ln_2"), f"{at}.mlp.c_fc")
        x = x + product(activated(config["activation_function"], hidden), f"{at}.mlp.c_proj")
    return normed(x, "ln_f") @ w.get("lm_head.weight", w["wte.weight"]).T


def attended(fused: Float64, heads: int, divisor: float) -> Float64:
    """Causal softmax attention for queries, keys and values [positions, 3 width], a head at a
    time, whose scores are divided."""
    found = []
    for q, k, v in zip(*(np.split(x, heads, 1) for x in np.split(fused, 3, 1)), strict=True):
        scores = q @ k.T / divisor
        weights = np.exp(scores - scores.max(1, keepdims=True)) * np.tri(len(q))
        found.append(weights / weights.sum(1, keepdims=True) @ v)
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("case", tiny.CHANGES)
def test_logits_are_those_of_the_definition(case: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, **tiny.CHANGES[case])
    config = json.loads((tmp_path / "config.json").read_text())
    targets = [TARGET, TARGET[:1], []]
    for target, found in zip(targets, forced(sources.read(path), [[]] * 3, targets), strict=True):
        wanted = defined(load_file(path), config, [config["bos_token_id"], *target])
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("case", tiny.CHANGES)
def test_log_probabilities_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, **tiny.CHANGES[case]))
    found = log_probabilities(model, [], TARGET)[:-1]
    np.testing.assert_allclose(found, SCORES[case], atol=2e-5)


@pytest.mark.parametrize("case", tiny.CHANGES)
def test_logits_are_those_of_an_installed_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, **tiny.CHANGES[case]))
    assert_logits_of_transformers(model, tmp_path, TARGET)


def test_in_integers(tmp_path: Path) -> None:
    """The integer model loses less than 0.02 nats a token.

    The calibration text and the measured text are different samples of the model.
    """
    model = sources.read(tiny.write(tmp_path))
    texts = written(model, 120, 20)
    assert integer_loss(model, texts[:60], texts[60:]) < 0.02


def test_is_told_by_its_configuration(tmp_path: Path) -> None:
    path = tiny.write(tmp_path)
    model = sources.read(tmp_path)
    assert model.generation.max_positions == tiny.POSITIONS
    assert (model.generation.start, model.generation.eos) == (1, 2)
    assert not model.translates
    assert model.provenance["format"] == "Hugging Face GPT-2"
    assert [file.name for file in sources.files(tmp_path)] == [path.name, "config.json"]
    tensors = model.tensors
    assert tensors.stored("output.weight") is tensors.stored("target_embedding")


def test_texts_end_with_token_50256_unless_the_configuration_says_otherwise(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, bos_token_id=None, eos_token_id=None)
    with pytest.raises(CheckpointError, match=r"eos=50256 is outside a vocabulary of 13; start=50"):
        sources.read(path)


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.float32])
def test_masks_that_older_files_store(kind: type[Any], tmp_path: Path) -> None:
    content: dict[str, Any] = tiny.tensors(tiny.CONFIG)
    wanted = sources.read(tiny.write(tmp_path, content))
    names = set(wanted.tensors)
    for i in range(tiny.LAYERS):
        at = f"transformer.h.{i}.attn"
        content[f"{at}.bias"] = np.tri(tiny.POSITIONS).astype(kind)[None, None]
        content[f"{at}.masked_bias"] = np.array(-10000, np.float32)
    assert set(sources.read(tiny.write(tmp_path, content)).tensors) == names


def test_the_body_alone(tmp_path: Path) -> None:
    content = tiny.tensors(tiny.CONFIG)
    (wanted,) = forced(sources.read(tiny.write(tmp_path, content)), [[]], [TARGET])
    body: dict[str, Any] = {n.removeprefix("transformer."): x for n, x in content.items()}
    body["h.0.attn.bias"] = np.ones((1, 1, 2, 2), np.float32)
    (found,) = forced(sources.read(tiny.write(tmp_path, body)), [[]], [TARGET])
    np.testing.assert_array_equal(found, wanted)
    with pytest.raises(CheckpointError, match=r"no lm_head.weight: the file has the body of a mod"):
        sources.read(tiny.write(tmp_path, body, tie_word_embeddings=False))


def test_a_head_that_is_not_the_embedding(tmp_path: Path) -> None:
    content = tiny.tensors(tiny.CONFIG)
    table = content["transformer.wte.weight"]
    sources.read(tiny.write(tmp_path, content | {"lm_head.weight": table}))
    with pytest.raises(CheckpointError, match="differ, but the configuration says that they are"):
        sources.read(tiny.write(tmp_path, content | {"lm_head.weight": table + 1}))


def test_weights_in_16_bits(tmp_path: Path) -> None:
    content = {name: x.astype(np.float16) for name, x in tiny.tensors(tiny.CONFIG).items()}
    (found,) = forced(sources.read(tiny.write(tmp_path, content)), [[]], [TARGET])
    rounded = {name: x.astype(np.float32) for name, x in content.items()}
    np.testing.assert_allclose(found, defined(rounded, tiny.CONFIG, [1, *TARGET]), atol=1e-4)


def test_ids_need_no_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Merges without their vocabulary are not read: texts are refused."""
    tiny.write(tmp_path, eos_token_id=[2, 5])
    (tmp_path / "merges.txt").write_text("a b\n")
    model = sources.read(tmp_path)
    assert model.tokenizers == {}
    assert model.generation.ends == (2, 5)
    assert tokenize(model, [[4, 5]]) == [[4, 5]]
    with pytest.raises(CheckpointError, match="no target tokenizer"):
        tokenize(model, ["a"])
    assert main([str(tmp_path), "-o", str(tmp_path / "x.safetensors"), "-q"]) == 1
    told = capsys.readouterr().err
    assert f"looked for {WANTED}\n" in told


def test_a_sentencepiece_model_beside_it_is_its_tokenizer(tmp_path: Path) -> None:
    tiny.write(tmp_path)
    pieces = [*llama2c.NAMES.values(), "\u2581", *"abcdefghi"]
    kept = {piece: Piece(-float(i)) for i, piece in enumerate(pieces)}
    content = byte_pairs(kept, unk="<unk>", bos="<s>", eos="</s>")
    (tmp_path / "tokenizer.model").write_bytes(content)
    model = sources.read(tmp_path)
    assert tokenize(model, ["cab"]) == [[3, 6, 4, 5, 2]]
    assert tmp_path / "tokenizer.model" in sources.files(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "mish"}, "activation_function: Invalid enum value 'mish', which"),
        ({"add_cross_attention": True}, "add_cross_attention: "),
        ({"n_head": 5}, "d_model=24 is not divisible by heads=5"),
        ({"n_positions": 0}, "n_positions"),
        ({"n_embd": None}, "n_embd"),
        ({"layer_norm_epsilon": -1}, "layer_norm_epsilon"),
        ({"eos_token_id": 13}, "eos=13 is outside a vocabulary of 13"),
        ({"architectures": ["GPT2ForSequenceClassification"]}, "labels texts"),
        ({"model_type": "xlnet"}, "a model of kind 'xlnet', which is not read, because"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, tiny.tensors(tiny.CONFIG), **changes)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_embd": 48}, "wrong shape target_embedding [13, 24], expected [13, 48]"),
        ({"n_inner": 20}, "wrong shape decoder.0.ffn.inner.weight [96, 24], expected [20, 24]"),
        ({"n_layer": 3}, "10 bad tensors: missing decoder.2.self.norm.gain [24]; missing"),
        ({"n_layer": 1}, "unused transformer.h.1.attn.c_attn.bias [72]"),
        ({"n_positions": 64}, "wrong shape positions [32, 24], expected [64, 24]"),
        ({"vocab_size": 14}, "wrong shape target_embedding [13, 24], expected [14, 24]"),
    ],
)
def test_tensors_that_are_not_those_of_the_configuration(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tiny.write(tmp_path, tiny.tensors(tiny.CONFIG), **changes)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("h.0.attn.c_attn.weight", (24, 24), "h.0.attn.c_attn.weight: the shape [24, 24] has n"),
        ("h.0.attn.c_attn.weight", (72,), "wrong shape decoder.0.self.query.weight [24], expec"),
        ("h.0.attn.c_attn.bias", (), "h.0.attn.c_attn.bias: the shape [] has not 72 rows"),
        (
            "h.1.mlp.c_proj.weight",
            (24, 96),
            "decoder.1.ffn.outer.weight [96, 24], expected [24, 96]",
        ),
        ("h.1.crossattention.c_attn.bias", (2,), "unused transformer.h.1.crossattention.c_attn.b"),
        ("wte.weight", (), "wrong shape target_embedding [], expected [13, 24]"),
    ],
)
def test_tensors_of_other_shapes(
    name: str, shape: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    content = tiny.tensors(tiny.CONFIG)
    content[f"transformer.{name}"] = np.ones(shape, np.float32)
    with pytest.raises(CheckpointError) as caught:
        sources.read(tiny.write(tmp_path, content))
    assert message in str(caught.value)


def test_tensors_that_are_missing_or_no_numbers(tmp_path: Path) -> None:
    content = tiny.tensors(tiny.CONFIG)
    content.pop("transformer.ln_f.bias")
    content.pop("transformer.wpe.weight")
    content["transformer.h.1.attn.c_attn.weight"][0, 30] = np.nan
    with pytest.raises(CheckpointError) as caught:
        sources.read(tiny.write(tmp_path, content))
    told = str(caught.value)
    assert "3 bad tensors: missing positions [32, 24]; missing decoder.norm.bias [24]" in told
    assert "not finite decoder.1.self.key.weight" in told


@FUZZ
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tiny.write(tmp_path)
    damage(data, [path, tmp_path / "config.json"], 4000)
    hugging_face_gpt2.recognises(path)
    with contextlib.suppress(CheckpointError):
        hugging_face_gpt2.read(path)
