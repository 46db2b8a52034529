"""The reader of Hugging Face's Marian models: equal to transformers; damaged and other files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tiny_hugging_face as tiny
import tiny_training
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_probabilities import log_probabilities
from safetensors.numpy import save_file

from int8ref.engines.backends import load_engine
from int8ref.program.program import Program, Tensors
from tests.helpers.engines import requests
from weights_import import sources
from weights_import.__main__ import main
from weights_import.calibrate import calibration, tokenize
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.float_search import greedy
from weights_import.forward import forced
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions
from weights_import.sources import hugging_face_marian, hugging_face_sinusoids

SOURCE, TARGET = [*range(2, 12), 0], [2, 3, 4, 5, 6]
# log P of each token of TARGET and of the end, by transformers 4.57.6 in float32.
SCORES = {
    "swish": [-3.45231, -1.51074, -1.48037, -2.66626, -2.06067, -2.02953],
    "gelu": [-3.43396, -1.49989, -1.41426, -2.66387, -2.11257, -2.13139],
    "relu": [-3.46758, -1.50801, -1.4164, -2.69825, -2.09169, -2.0964],
}
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def lowered(model: FloatModel, text: list[str] | list[list[int]]) -> tuple[Program, Tensors]:
    found = calibration(model, text)
    return lower(model, found.sources, found.targets, LoweringOptions())


@pytest.mark.parametrize("activation", SCORES)
def test_log_probabilities_are_those_of_transformers(activation: str, tmp_path: Path) -> None:
    tiny.write(tmp_path, activation_function=activation)
    model = sources.read(tmp_path)
    # generate() of transformers gives token 4 ten times, and then stops at its limit.
    assert greedy(model, [SOURCE], 10 / 11) == [[4] * 10]
    (found,) = forced(model, [SOURCE], [TARGET])
    assert found.shape == (6, tiny.VOCABULARY - 1)
    scores = log_probabilities(model, SOURCE, TARGET)
    np.testing.assert_allclose(scores, SCORES[activation], atol=2e-5)


def test_text_to_integers(tmp_path: Path) -> None:
    """A lowered checkpoint with its tokenizers.  Its vocabulary is their pieces and <pad>."""
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
    program, tensors = lowered(model, texts)
    assert program.max_source_length == 64
    found = load_engine(program, tensors, "reference").greedy(requests([ids], [8]))
    assert all(0 <= token < 12 for token in found[0])


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_half_precision(kind: str, tmp_path: Path) -> None:
    """float16 is written by safetensors. bfloat16 is the upper halves of float32."""
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
    assert model.tensors.stored("encoder.1.ffn.inner.weight").bfloat16 == (kind == "BF16")


def _parts(path: Path) -> tuple[bytes, bytes]:
    """Return header and body of a file.  The header may be longer than its stored length says."""
    content = path.read_bytes()
    end = content.rindex(b"}}") + 2
    return content[8:end].rstrip(), content[end:].lstrip(b" ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "led"}, "a model of kind 'led', which is not read, because"),
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


def trained_padding() -> dict[str, Any]:
    """Return a checkpoint whose <pad> has its own embedding, as after training in transformers."""
    content: dict[str, Any] = tiny.tensors()
    content["model.shared.weight"][-1] = np.linspace(-0.4, 0.4, tiny.WIDTH, dtype=np.float32)
    return content


def unshared() -> dict[str, Any]:
    """Return a checkpoint whose source and target have separate embeddings."""
    content: dict[str, Any] = tiny.tensors()
    table = np.random.default_rng(9).normal(0, 0.7, (tiny.VOCABULARY, tiny.WIDTH))
    table[-1] = 0
    content["model.encoder.embed_tokens.weight"] = content.pop("model.shared.weight")
    content["model.decoder.embed_tokens.weight"] = table.astype(np.float32)
    return content


def untied() -> dict[str, Any]:
    """Return a checkpoint with separate matrices for source, target and output."""
    head = np.random.default_rng(10).normal(0, 0.7, (tiny.VOCABULARY, tiny.WIDTH))
    return unshared() | {"lm_head.weight": head.astype(np.float32)}


# Stored tensors, changes of the configuration, and log P by transformers 5.24, without <pad>.
STORED: dict[str, tuple[dict[str, Any], dict[str, Any], list[float]]] = {
    "a trained <pad>": (
        trained_padding(),
        {},
        [-3.45022, -1.51004, -1.47971, -2.6659, -2.06084, -2.03084],
    ),
    "unshared": (
        unshared(),
        {"share_encoder_decoder_embeddings": False},
        [-0.72481, -4.63513, -4.52528, -3.32137, -3.65273, -2.88156],
    ),
    "untied": (
        untied(),
        {"share_encoder_decoder_embeddings": False, "tie_word_embeddings": False},
        [-2.8435, -2.39557, -1.71659, -2.45173, -3.51653, -1.90617],
    ),
}


@pytest.mark.parametrize("case", STORED)
def test_other_embeddings_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    content, changes, wanted = STORED[case]
    model = sources.read(tiny.write(tmp_path, content, **changes))
    np.testing.assert_allclose(log_probabilities(model, SOURCE, TARGET), wanted, atol=2e-5)


def test_a_trained_padding_token_is_never_chosen(tmp_path: Path) -> None:
    """Its logit is below the logit of the end of the sentence for any state, also in integers."""
    content = trained_padding()
    content["model.shared.weight"][-1] = 40  # far more likely than all others
    content["final_logits_bias"][0, -1] = 99
    content["final_logits_bias"][0, 0] = -3
    model = sources.read(tiny.write(tmp_path, content))
    pad, eos = tiny.VOCABULARY - 1, 0
    assert (model.generation.start, model.generation.target_vocabulary) == (pad, pad + 1)
    stored = model.tensors.stored
    assert stored("output.weight") is stored("target_embedding")
    random = np.random.default_rng(3)
    sentences = [[*ids.tolist(), 0] for ids in random.integers(2, 12, (30, 7))]
    for logits in forced(model, sentences, [ids[:-1] for ids in sentences]):
        assert np.all(logits[:, pad] < logits[:, eos] - 19)
    program, tensors = lowered(model, sentences)
    engine = load_engine(program, tensors, "reference")
    assert not any(pad in ids for ids in engine.greedy(requests(sentences, [9] * 30)))


def test_a_trained_padding_token_is_no_text(tmp_path: Path) -> None:
    pieces = [
        "</s>",
        "<unk>",
        "\u2581the",
        "\u2581cat",
        "s",
        "a",
        "t",
        "\u2581",
        "o",
        "n",
        "m",
        "e",
    ]
    numbers = {piece: number for number, piece in enumerate([*pieces, "<pad>"])}
    (tmp_path / "vocab.json").write_text(json.dumps(numbers))
    for side in ("source", "target"):
        (tmp_path / f"{side}.spm").write_bytes(tiny_training.tokenizer())
    model = sources.read(tiny.write(tmp_path, trained_padding()))
    made = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["target"])
    assert (made.vocab_size(), made.is_control(12), made.decode([5, 12])) == (13, True, "a")
    (ids,) = tokenize(model, ["the cat<pad>"])
    assert 12 not in ids


def test_marks_of_target_languages(tmp_path: Path) -> None:
    """A mark is one piece of a text, and a language that a run may choose instead."""
    pieces = ["</s>", "<unk>", "▁the", "▁cat", "s", "a", "t", "▁", "o", "n", ">>fra<<", ">>por<<"]
    numbers = {piece: number for number, piece in enumerate([*pieces, "<pad>"])}
    (tmp_path / "vocab.json").write_text(json.dumps(numbers))
    for side in ("source", "target"):
        (tmp_path / f"{side}.spm").write_bytes(tiny_training.tokenizer())
    model = sources.read(tiny.write(tmp_path))
    languages = model.generation.languages
    assert languages is not None
    assert (languages.sources, list(languages.targets)) == ({}, ["fra", "por"])
    (plain,) = tokenize(model, ["the cat"])
    assert tokenize(model, [">>por<< the cat"]) == [[11, *plain]]
    way = languages.direction(languages.pair(None, "por"), model.generation.frame)
    assert (way.frame.around(plain[:-1]), way.forced) == ([11, *plain], ())
    program, _ = lowered(model, ["the cat", ">>fra<< a cat", "the cat sat"] * 10)
    assert program.languages == languages


@pytest.mark.parametrize(
    "name",
    ["model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"],
)
def test_a_tied_matrix_may_have_one_of_its_names_alone(name: str, tmp_path: Path) -> None:
    wanted = dict(sources.read(tiny.write(tmp_path)).tensors)
    content = tiny.tensors()
    content[name] = content.pop("model.shared.weight")
    found = sources.read(tiny.write(tmp_path, content))
    assert found.tensors.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_array_equal(found.tensors[key], value)
    content["model.shared.weight"] = content[name] + 1
    with pytest.raises(CheckpointError, match="differ, but the configuration says that they are"):
        sources.read(tiny.write(tmp_path, content))


def test_what_nobody_asks_for_is_left_out(tmp_path: Path) -> None:
    content: dict[str, Any] = dict(tiny.tensors())
    wanted = sources.read(tiny.write(tmp_path, content))
    content |= {
        "model.encoder.embeddings.position_ids": np.arange(64, dtype=np.int64)[None],
        "model.encoder.version": np.full(1, 3, np.float32),
        "model.decoder.layers.0.self_attn.masked_bias": np.array(-1e4, np.float32),
        "model.decoder.layers.0.self_attn.bias": np.ones((1, 1, 4, 4), bool),
        "model.decoder.steps": np.array(7),
        "model.decoder.empty": np.zeros((0, 3), np.int32),
    }
    found = sources.read(tiny.write(tmp_path, content))
    assert found.tensors.keys() == wanted.tensors.keys()
    content["model.encoder.layers.0.fc1.weight"] = np.zeros((12, 8), np.int8)
    with pytest.raises(CheckpointError, match=r"wrong type encoder.0.ffn.inner.weight int8, exp"):
        sources.read(tiny.write(tmp_path, content))


def test_what_a_configuration_says_is_not_believed_without_its_tensors(tmp_path: Path) -> None:
    """Nothing of a size in the configuration is allocated before the tensors confirm this size."""
    content: dict[str, Any] = {n: v for n, v in tiny.tensors().items() if "shared" not in n}
    huge = {"d_model": 1 << 24, "max_position_embeddings": 1 << 14, "vocab_size": 1 << 24}
    path = tiny.write(tmp_path, content, **huge, pad_token_id=12, decoder_start_token_id=12)
    with pytest.raises(CheckpointError, match="missing source_embedding"):
        sources.read(path)


def test_shapes_that_no_array_has(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, tiny.tensors() | {"x": np.zeros((0, 3), np.float32)})
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].replace(b"[0,3]", b"[0,4294967296,4294967296]")
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    with pytest.raises(CheckpointError, match="x: no array has the shape"):
        sources.read(path)


def test_a_stored_table_of_positions_counts_where_it_differs(tmp_path: Path) -> None:
    content = tiny.tensors()
    table = hugging_face_sinusoids.sinusoids(64, tiny.WIDTH)
    content["model.encoder.embed_positions.weight"] = table + 1e-3
    content["model.decoder.embed_positions.weight"] = table
    assert "target_positions" not in sources.read(tiny.write(tmp_path, content)).tensors
    content["model.encoder.embed_positions.weight"] = table + 1
    tensors = sources.read(tiny.write(tmp_path, content)).tensors
    np.testing.assert_array_equal(tensors["positions"], table + 1)
    np.testing.assert_array_equal(tensors["target_positions"], table)


def test_the_configuration_of_a_model_that_was_never_marians(tmp_path: Path) -> None:
    tiny.write(tmp_path, static_position_embeddings=None, scale_embedding=True, dropout=None)
    assert sources.read(tmp_path).generation.max_positions == 64


def test_the_body_alone(tmp_path: Path) -> None:
    wanted = sources.read(tiny.write(tmp_path)).tensors
    content = {name.removeprefix("model."): value for name, value in tiny.tensors().items()}
    found = sources.read(tiny.write(tmp_path, content)).tensors
    assert found.keys() == wanted.keys()


def test_several_end_marks(tmp_path: Path) -> None:
    one = sources.read(tiny.write(tmp_path, eos_token_id=[0]))
    assert (one.generation.eos, one.warnings) == (0, [])
    several = sources.read(tiny.write(tmp_path, eos_token_id=[3, 0]))
    assert several.generation.eos == 3
    assert several.generation.more_eos == (0,)
    pieces = ["</s>", "<unk>", *"abcdefghij", "<pad>"]
    (tmp_path / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}))
    assert sources.read(tmp_path).generation.eos == 0
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 0, "bos_token_id": null}')
    assert sources.read(tmp_path).warnings == []


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_tokenizer_that_is_missing_is_not_that_of_the_other_side(
    side: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write(tmp_path)
    for one in ("source", "target"):
        (tmp_path / f"{one}.spm").write_bytes(tiny_training.tokenizer())
    (tmp_path / f"{side}.spm").unlink()
    assert set(sources.read(tmp_path).tokenizers) == {"source", "target"} - {side}
    arguments = [str(tmp_path), "-o", str(tmp_path / "x.safetensors"), "--languages", "en-pt", "-q"]
    assert main(arguments) == 1
    assert f"no tokenizer of the {side} in" in capsys.readouterr().err


def test_a_vocabulary_of_each_side(tmp_path: Path) -> None:
    rest = ["\u2581the", "\u2581cat", "s", "a", "t", "\u2581", "o", "n", "m", "e"]
    for name, pieces in (("vocab.json", rest), ("target_vocab.json", rest[::-1])):
        numbers = {p: i for i, p in enumerate(["</s>", "<unk>", *pieces, "<pad>"])}
        (tmp_path / name).write_text(json.dumps(numbers))
    for side in ("source", "target"):
        (tmp_path / f"{side}.spm").write_bytes(tiny_training.tokenizer())
    path = tiny.write(tmp_path, unshared(), share_encoder_decoder_embeddings=False)
    made = {
        side: sentencepiece.SentencePieceProcessor(model_proto=content)
        for side, content in sources.read(path).tokenizers.items()
    }
    assert made["source"].id_to_piece(2) == made["target"].id_to_piece(11) == rest[0]
    assert tmp_path / "target_vocab.json" in sources.files(tmp_path)
    (tmp_path / "opus.vocab.yml").write_text("a: 0")
    with pytest.raises(CheckpointError, match="several vocabularies"):
        sources.read(path)


def test_tokens_that_were_added(tmp_path: Path) -> None:
    path = tiny.write(tmp_path)
    (tmp_path / "added_tokens.json").write_text('{"<pad>": 12, "<s>": 13}')
    sources.read(path)
    (tmp_path / "added_tokens.json").write_text('{">>xyz<<": 13}')
    with pytest.raises(CheckpointError, match=r"tokens were added .*\('>>xyz<<'\)"):
        sources.read(path)


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
