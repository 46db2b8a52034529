"""The reader of Hugging Face's Marian models: against transformers, damage, what it refuses."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_hugging_face as tiny
import tiny_training
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_probabilities import log_probabilities
from safetensors.numpy import save_file

from int8ref.executor import load_engine
from weights_import import sources
from weights_import.calibrate import calibrate, tokenize
from weights_import.float_forward import forced
from weights_import.float_model import CheckpointError
from weights_import.float_search import greedy
from weights_import.lower import lower
from weights_import.options import Options
from weights_import.sources import hugging_face_marian

SOURCE, TARGET = [*range(2, 12), 0], [2, 3, 4, 5, 6]
# log P of each token of TARGET and of the end, by transformers 4.57.6 in float32.
SCORES = {
    "swish": [-3.45231, -1.51074, -1.48037, -2.66626, -2.06067, -2.02953],
    "gelu": [-3.43396, -1.49989, -1.41426, -2.66387, -2.11257, -2.13139],
    "relu": [-3.46758, -1.50801, -1.4164, -2.69825, -2.09169, -2.0964],
}
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.mark.parametrize("activation", SCORES)
def test_log_probabilities_are_those_of_transformers(activation: str, tmp_path: Path) -> None:
    tiny.write(tmp_path, activation_function=activation)
    model = sources.read(tmp_path)
    # Its generate() finds ten times token 4, and then must end.
    assert greedy(model, [SOURCE], 10 / 11) == [[4] * 10]
    (found,) = forced(model, [SOURCE], [TARGET])
    assert found.shape == (6, tiny.VOCABULARY - 1)
    scores = log_probabilities(model, SOURCE, TARGET)
    np.testing.assert_allclose(scores, SCORES[activation], atol=2e-5)


def test_text_to_integers(tmp_path: Path) -> None:
    """A checkpoint with its tokenizers, lowered; the vocabulary is theirs and <pad>."""
    pieces = ["</s>", "<unk>", "▁the", "▁cat", "s", "a", "t", "▁", "o", "n", "m", "e", "<pad>"]
    (tmp_path / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}))
    for side in ("source", "target"):
        (tmp_path / f"{side}.spm").write_bytes(tiny_training.tokenizer())
    content = tiny.tensors()
    content["final_logits_bias"][0, 0] = -9  # no translation ends at once
    model = sources.read(tiny.write(tmp_path, content))
    texts = ["the cat sat on the mat", "on the mat", "a cat"] * 10
    (ids, *_) = tokenize(model, texts)
    assert set(ids) <= set(range(12))
    assert ids[-1] == 0
    program, tensors = lower(model, calibrate(model, texts), Options())
    assert program.max_source_length == 64
    found = load_engine(program, tensors, "reference").greedy([ids], limits=[8])
    assert all(0 <= token < 12 for token in found[0])


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_half_precision(kind: str, tmp_path: Path) -> None:
    """float16 by safetensors itself; bfloat16 as the upper halves of float32."""
    plain = tiny.tensors()
    halves = {name: value.astype(np.float16) for name, value in plain.items()}
    path = tiny.write(tmp_path, halves)
    expected = {name: value.astype(np.float32) for name, value in halves.items()}
    if kind == "BF16":
        upper = {name: value.view(np.uint32) >> 16 for name, value in plain.items()}
        words = {name: value.astype(np.uint16).view(np.int16) for name, value in upper.items()}
        save_file(words, path)
        path.write_bytes(path.read_bytes().replace(b'"dtype":"I16"', b'"dtype":"BF16"'))
        head, body = _parts(path)
        path.write_bytes(len(head).to_bytes(8, "little") + head + body)
        expected = {name: (value << 16).view(np.float32) for name, value in upper.items()}
    model = sources.read(path)
    np.testing.assert_array_equal(
        model.tensors["encoder.1.ffn.inner.weight"], expected["model.encoder.layers.1.fc1.weight"]
    )


def _parts(path: Path) -> tuple[bytes, bytes]:
    """Header and body of a file whose header has grown by a byte a tensor."""
    content = path.read_bytes()
    end = content.rindex(b"}}") + 2
    return content[8:end].rstrip(), content[end:].lstrip(b" ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mbart"}, "a model of kind 'mbart', which is not read; the kinds"),
        ({"activation_function": "tanh"}, "activation_function"),
        ({"normalize_before": True}, "normalize_before"),
        ({"normalize_embedding": True}, "normalize_embedding"),
        ({"static_position_embeddings": False}, "static_position_embeddings"),
        ({"tie_word_embeddings": False}, "missing output.weight"),
        ({"d_model": "8"}, "d_model"),
        ({"d_model": 16}, "wrong shape source_embedding [13, 8], expected [13, 16]"),
        ({"pad_token_id": 1}, "both must be one token of 13"),
        ({"encoder_ffn_dim": 16}, "encoder_ffn_dim and decoder_ffn_dim differ"),
        ({"decoder_layers": 3}, "missing decoder.2.self.query.weight"),
        ({"decoder_layers": 1}, "unused model.decoder.layers.1.fc1.bias"),
        ({"encoder_attention_heads": 3, "decoder_attention_heads": 3}, "heads=3"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, **changes)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_tied_copies_are_ignored_and_strangers_are_not(tmp_path: Path) -> None:
    content = tiny.tensors()
    content["lm_head.weight"] = content["model.shared.weight"].copy()
    sources.read(tiny.write(tmp_path, content))
    content["model.adapter.weight"] = np.zeros((2, 2), np.float32)
    with pytest.raises(CheckpointError, match=r"unused model\.adapter\.weight"):
        sources.read(tiny.write(tmp_path, content))


def test_without_a_configuration_it_is_no_checkpoint(tmp_path: Path) -> None:
    path = tiny.write(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"a safetensors without the config.json that tells"):
        sources.read(path)


@FUZZ
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tiny.write(tmp_path)
    victim = data.draw(st.sampled_from([path, tmp_path / "config.json"]))
    content = bytearray(victim.read_bytes())
    head = len(content) if victim.suffix == ".json" else 8 + int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, head - 1))] = data.draw(st.integers(0, 255))
    victim.write_bytes(content[: data.draw(st.integers(0, head) | st.just(len(content)))])
    hugging_face_marian.recognises(path)
    with contextlib.suppress(CheckpointError):
        hugging_face_marian.read(path)
