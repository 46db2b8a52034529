"""The reader of CTranslate2's models: equal to CTranslate2; damaged and unsupported files."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tiny_ctranslate2 as tiny
import tiny_training
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_probabilities import log_probabilities
from tiny_ctranslate2 import numbers, quantised, tensors, without_final_norms

import int8ref
from int8ref.program.program import SourceFrame
from weights_import import sources
from weights_import.__main__ import main
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.float_search import greedy
from weights_import.operations.heads import Heads
from weights_import.sources import ctranslate2_transformer

SOURCE, TARGET = "abcha gd", "ABCGA"
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

T = tensors()
POSITIONS = np.random.default_rng(5).normal(0, 0.7, (40, tiny.WIDTH)).astype(np.float32)
TABLES = {f"{stack}/position_encodings/encodings": POSITIONS for stack in ("encoder", "decoder")}
NORMED = {
    name.replace("/layer_norm/", "/layernorm_embedding/"): value[::-1].copy()
    for name, value in T.items()
    if name.count("/") == 2 and "/layer_norm/" in name
}
OLDER = {name.replace("embeddings_0", "embeddings"): value for name, value in T.items()}
ONCE = {
    "num_heads": 2, "pre_norm": 1, "activation": 0, "embeddings_merge": 0, "alignment_layer": -1,
    "alignment_heads": 1, "with_source_bos": 1, "with_source_eos": 1, "with_target_bos": 0,
}  # fmt: skip
TIED = {"decoder/projection/weight": "decoder/embeddings/weight"}


def untied(content: dict[str, tiny.Array]) -> dict[str, tiny.Array]:
    return {name: value for name, value in content.items() if not name.startswith(*TIED)}


CASES: dict[str, dict[str, Any]] = {
    "pre-norm": {"content": {**T, **numbers()}},
    "post-norm, gelu": {
        "content": {
            **without_final_norms(T),
            **numbers(pre_norm=np.int8(0), activation=np.int8(3)),
        }
    },
    "a table of positions, swish": {"content": {**T, **TABLES, **numbers(activation=np.int8(2))}},
    "two tables of positions": {
        "content": {**T, **TABLES, **numbers(), next(iter(TABLES)): POSITIONS[:30] + 1}
    },
    "norms of embeddings": {"content": {**T, **NORMED, **numbers()}},
    "norms of embeddings, post-norm": {
        "content": {**without_final_norms(T), **NORMED, **numbers(pre_norm=np.int8(0))}
    },
    "a scale of embeddings": {"content": {**T, **numbers(scale_embeddings=np.float32(1.5))}},
    "embeddings as they are": {"content": {**T, **numbers(scale_embeddings=np.int8(0))}},
    "the zero vector first": {"content": {**T, **numbers(start_from_zero_embedding=np.int8(1))}},
    "a frame": {"config": {"add_source_bos": True, "add_source_eos": True}},
    "an epsilon": {"config": {"layer_norm_epsilon": 0.25}},
    "float16": {"content": {**quantised(T, "float16"), **numbers()}},
    "bfloat16": {"bfloat16": True},
    "int8": {"content": {**quantised(T, "int8"), **numbers()}},
    "int16": {"content": {**quantised(T, "int16"), **numbers()}},
    "tied": {"content": untied({**T, **numbers()}), "aliases": TIED},
    "tied int8": {"content": untied({**quantised(T, "int8"), **numbers()}), "aliases": TIED},
    "version 2": {"content": OLDER, "version": 2, "named": "TransformerBase", "revision": 2},
    "version 5": {
        "content": {**OLDER, **{name: np.int8(value) for name, value in ONCE.items()}},
        "version": 5,
        "revision": 4,
    },
}
# log P of each token of TARGET and of the end, by CTranslate2 4.8.5 in float32.  The row "the zero
# vector first" has </s> after the source, because Marian trains its models in this way.
SCORES = {
    "pre-norm": [-7.48187, -3.38535, -3.20669, -0.54021, -5.46178, -3.38462],
    "post-norm, gelu": [-7.65008, -4.31761, -2.22029, -2.16631, -7.64081, -3.63629],
    "a table of positions, swish": [-6.67556, -3.04375, -3.70742, -0.46029, -5.36972, -3.24874],
    "two tables of positions": [-5.78799, -2.87728, -3.11737, -0.50476, -4.41837, -3.13423],
    "norms of embeddings": [-2.10235, -3.69104, -2.41347, -0.62137, -1.9906, -4.07307],
    "norms of embeddings, post-norm": [-7.94079, -4.14545, -2.32329, -2.11483, -7.94881, -3.98319],
    "a scale of embeddings": [-3.61251, -2.07424, -3.12757, -0.56474, -5.00877, -3.67682],
    "embeddings as they are": [-2.15242, -1.85869, -3.13946, -0.6302, -4.23735, -3.44185],
    "the zero vector first": [-1.14274, -1.7897, -3.17972, -0.55177, -4.83708, -3.67387],
    "a frame": [-7.15244, -2.94883, -3.09009, -0.56281, -5.2924, -3.56828],
    "an epsilon": [-7.68213, -3.74303, -3.23757, -0.54479, -5.48016, -3.31083],
    "float16": [-7.48785, -3.38771, -3.20567, -0.54, -5.46124, -3.3839],
    "bfloat16": [-7.50061, -3.44461, -3.22642, -0.54194, -5.47376, -3.3551],
    "int8": [-7.45298, -3.38162, -3.17784, -0.54658, -5.44948, -3.39901],
    "int16": [-7.48278, -3.37604, -3.21069, -0.53965, -5.46372, -3.38481],
    "tied": [-3.27558, -3.14827, -4.88901, -0.78524, -2.94519, -2.37992],
    "tied int8": [-3.26714, -3.15069, -4.87959, -0.7829, -2.94891, -2.36863],
    "version 2": [-5.37054, -4.10406, -3.5316, -0.71657, -5.26324, -3.47811],
    "version 5": [-0.62503, -2.75227, -2.86638, -0.64001, -3.2429, -4.22253],
}


def scores(model: FloatModel) -> list[float]:
    """Return log P of TARGET.  The id of a character is its place in the list."""
    target = [tiny.TARGET.index(character) for character in TARGET]
    around = model.generation.frame.around
    source = around([tiny.SOURCE.index(character) for character in SOURCE])
    return log_probabilities(model, source, target)


@pytest.mark.parametrize("case", CASES)
def test_log_probabilities_are_those_of_ctranslate2(case: str, tmp_path: Path) -> None:
    tiny.write(tmp_path, **CASES[case])
    np.testing.assert_allclose(scores(sources.read(tmp_path)), SCORES[case], atol=2e-5)


def test_what_a_model_says_of_itself(tmp_path: Path) -> None:
    tiny.write(tmp_path)
    model = sources.read(tmp_path)
    made, found = model.program.producers(), model.generation
    for stack in ("encoder", "decoder"):
        assert made[f"{stack}.1.self.context"].heads == Heads(2, 4, 2)
        assert f"{stack}.2.self.context" not in made
    assert (found.eos, found.unk, found.start, found.source_special) == (2, 0, 1, (1, 2))
    assert found.source_frame == SourceFrame()
    tiny.write(tmp_path, config={"add_source_bos": True, "add_source_eos": True})
    assert sources.read(tmp_path).generation.frame == SourceFrame((0,), (1,))


@pytest.mark.parametrize(("layer", "warned"), [(-1, False), (1, False), (0, True), (-2, True)])
def test_alignment_by_another_layer_is_told(layer: int, warned: bool, tmp_path: Path) -> None:
    content = {**T, **numbers(alignment_layer=np.int16(layer))}
    found = sources.read(tiny.write(tmp_path, content)).warnings
    assert len(found) == warned
    assert all(f"aligns by layer {layer} of its decoder" in one for one in found)


def test_matrices_with_an_alias_are_one(tmp_path: Path) -> None:
    for case in ("tied", "tied int8"):
        tiny.write(tmp_path, **CASES[case])
        stored = sources.read(tmp_path).tensors.stored
        assert stored("output.weight") is stored("target_embedding")


def test_text_to_text_by_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {**T, **numbers()}
    content["decoder/projection/bias"] = content["decoder/projection/bias"].copy()
    content["decoder/projection/bias"][2] = -3  # no translation ends at once
    tiny.write(tmp_path, content)
    (tmp_path / "text").write_text("abc\nhad a\ng h\n" * 9)
    out, text = tmp_path / "made.safetensors", tmp_path / "text"
    assert main([str(tmp_path), "-o", str(out), "--calibration", str(text), "-q"]) == 0
    assert capsys.readouterr().err == ""
    model = sources.read(tmp_path)
    (ids,) = tokenize(model, [SOURCE])
    assert ids == [tiny.SOURCE.index(character) for character in SOURCE]
    wanted = "".join(tiny.TARGET[token] for token in greedy(model, [ids])[0])
    translator = int8ref.load(out, backend="reference")
    found = translator.translate(SOURCE)
    assert found.source_tokens == tuple(SOURCE.replace(" ", "▁"))
    assert found.text
    assert found.text == wanted
    assert translator.translate("ax").source_tokens == ("a", "<unk>")


def test_text_by_sentencepiece_with_the_ids_of_the_vocabulary(tmp_path: Path) -> None:
    """The model is beside the file, or in the folder above, as in packages of Argos Translate."""
    folder = tmp_path / "model"
    folder.mkdir()
    plain = sentencepiece.SentencePieceProcessor(model_proto=tiny_training.tokenizer())
    names = {plain.id_to_piece(i) for i in range(plain.vocab_size())}
    pieces = ["<unk>", "<s>", "</s>", *sorted(names - {"<unk>", "<s>", "</s>"})]
    random = np.random.default_rng(0)
    content = {**T, **numbers()}
    for name in [name for name in content if "embeddings" in name or "projection" in name]:
        if (value := content[name]).ndim:
            shape = len(pieces), *value.shape[1:]
            content[name] = random.normal(0, 0.7, shape).astype(np.float32)
    tiny.write(folder, content)
    for side in ("source", "target"):
        (folder / f"{side}_vocabulary.json").unlink()
    (folder / "shared_vocabulary.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    assert sources.read(folder).tokenizers == {}
    (tmp_path / "sentencepiece.model").write_bytes(tiny_training.tokenizer())
    above = sources.read(folder)
    (folder / "source.spm").write_bytes(tiny_training.tokenizer())
    (folder / "target.model").write_bytes(tiny_training.tokenizer())
    beside = sources.read(folder)
    assert above.tokenizers == beside.tokenizers
    text = "the cat sat on the mat"
    assert tokenize(above, [text]) == [
        [pieces.index(piece) for piece in plain.encode(text, out_type=str)]
    ]
    assert [path.name for path in sources.files(folder)] == [
        "model.bin", "config.json", "shared_vocabulary.txt", "source.spm", "target.model",
    ]  # fmt: skip


def vocabulary(folder: Path, name: str, content: str) -> Path:
    for path in folder.glob("source_vocabulary.*"):
        path.unlink()
    (folder / name).write_bytes(content.encode())
    return folder


def test_forms_of_a_vocabulary(tmp_path: Path) -> None:
    tiny.write(tmp_path)
    wanted = sources.read(tmp_path).tokenizers["source"]
    for end in ("\n", "\r\n"):
        text = end.join(tiny.SOURCE) + end
        found = sources.read(vocabulary(tmp_path, "source_vocabulary.txt", text))
        assert found.tokenizers["source"] == wanted
    content = {**T, **numbers()}
    place = [0, 1, *range(3, len(tiny.SOURCE)), 2]
    content["encoder/embeddings_0/weight"] = content["encoder/embeddings_0/weight"][place]
    tiny.write(tmp_path, content)
    listed = json.dumps([piece for piece in tiny.SOURCE if piece != "<unk>"])
    found = sources.read(vocabulary(tmp_path, "source_vocabulary.json", listed))
    assert found.generation.source_special == (1, len(tiny.SOURCE) - 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("source_vocabulary.json", "[1]", "source_vocabulary.json: ValidationError"),
        ("source_vocabulary.json", "[", "source_vocabulary.json: JSONDecodeError"),
        ("source_vocabulary.txt", "a\na\n", "source_vocabulary.txt: a piece twice"),
        ("source_vocabulary.txt", "a\nb\n", r"\[12, 8\] embeddings for a source vocabulary of 3"),
        ("nothing", "", "no vocabulary of the source beside it"),
        ("source_vocabulary.txt", "abcdefghijk", "embeddings for a source vocabulary of 2"),
        ("config.json", "{", "config.json: "),
        ("config.json", '{"eos_token": 3}', "config.json: "),
        ("config.json", '{"eos_token": "<end>"}', "vocabulary: no <end>"),
        ("config.json", '{"bos_token": "<b>", "add_source_bos": true}', "vocabulary: no <b>"),
        ("config.json", '{"decoder_start_token": null}', "chosen for it, and the vocabulary"),
        ("config.json", '{"decoder_start_token": "de"}', "the decoder begins with 'de'"),
        ("config.json", '{"quantization_type": 1}', "quantization_type 1"),
        ("source.spm", "x", "source tokenizer: SentencePiece model"),
    ],
)
def test_files_beside_it_that_are_refused(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    path = tiny.write(tmp_path)
    if name.endswith(".spm") or name == "config.json":
        (tmp_path / name).write_text(content)
    else:
        vocabulary(tmp_path, name, content)
    with pytest.raises(CheckpointError, match=message) as caught:
        sources.read(path)
    assert str(path) in str(caught.value)


def without(name: str) -> dict[str, tiny.Array]:
    return {n: value for n, value in {**T, **numbers()}.items() if n != name}


ONE = np.ones(1, np.float32)
LAYER = "encoder/layer_0"
PARTS = {
    f"{LAYER}/ffn/linear_0_noact/weight": "linear_0_noact/weight: a gated hidden layer, which is",
    f"{LAYER}/self_attention/relative_attention_bias": "1 buckets of relative positions",
    f"{LAYER}/self_attention/num_heads_kv": "num_heads_kv: heads of queries that share keys and v",
    f"{LAYER}/self_attention/rotary_dim": "rotary_dim: rotary positions, which",
    "decoder/layer_1/attention/queries_scale": "queries_scale: another scale of the scores",
    "decoder/multi_query_attention": "multi_query_attention: one head of keys and values",
    "encoder/embeddings_1/weight": "several features of a token of the source, which is not read",
    "decoder/layer_0/ffn/linear_0/weight_zero": "weights quantised by AWQ",
}


@pytest.mark.parametrize(
    ("packing", "message"),
    [
        ({"named": "WhisperSpec", "revision": 3}, "WhisperSpec of revision 3, which is not read"),
        (
            {"named": "TransformerDecoderSpec"},
            "TransformerDecoderSpec of revision 7, whi",
        ),
        ({"revision": 1}, "TransformerSpec of revision 1"),
        ({"revision": 8}, "TransformerSpec of revision 8"),
        ({"content": {**T, **numbers(activation=np.int8(5))}}, "activation 5, tanh, is not read"),
        (
            {"content": {**T, **numbers(alibi=np.int8(1))}},
            "decoder/alibi: positions as lin",
        ),
        ({"content": {**T, **numbers(), "decoder/adapter": ONE}}, "unused decoder/adapter"),
        *(({"content": {**T, **numbers(), name: ONE}}, message) for name, message in PARTS.items()),
        ({"content": {**T, **numbers(), "encoder/num_heads": ONE}}, "num_heads is 1 in the enc"),
        ({"content": {**T, **numbers(num_heads=np.ones(2, np.int8))}}, "not one finite number"),
        ({"content": {**T, **numbers(num_heads=np.float32(np.inf))}}, "not one finite number"),
        ({"content": {**T, **numbers(), "encoder/embeddings_0/weight": ONE[0]}}, "a number, exp"),
        ({"config": {"layer_norm_epsilon": -1}}, "layer_norm_epsilon"),
        ({"content": {**T, **numbers(num_heads=np.int8(3))}}, "heads=3"),
        ({"content": {**T, **numbers(), "encoder/scale_embeddings": ONE}}, "scaled by 1 and by"),
        ({"content": without("decoder/layer_1/ffn/linear_0/bias")}, "missing decoder.1.ffn.inner"),
        ({"content": without("decoder/layer_norm/beta")}, "missing decoder.norm.bias"),
        ({"content": without("encoder/embeddings_0/weight")}, "no embeddings for a source"),
        ({"content": without("encoder/layer_0/ffn/linear_0/weight")}, "d_ffn=0"),
        ({"content": {**T, **numbers(), **dict(list(TABLES.items())[:1])}}, "not both a table"),
        (
            {"content": {**T, **numbers(), "decoder/projection/weight": np.ones((10, 8), np.int8)}},
            "decoder/projection/weight: int8 without",
        ),
    ],
)
def test_what_is_refused(packing: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, **packing)
    with pytest.raises(CheckpointError, match=message) as caught:
        sources.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("packing", "change", "message"),
    [
        ({}, lambda content: content[:-1], "needs 4 bytes, but the file has 3 left"),
        ({}, lambda content: content + b"1234", "4 bytes too many at the end"),
        ({}, lambda content: content[:30], "byte"),
        ({"aliases": {"decoder/x": "nothing"}}, bytes, "alias decoder/x of nothing"),
        ({"aliases": {"decoder/alibi": "decoder/alibi"}}, bytes, "alias decoder/alibi"),
        ({}, lambda c: c.replace(b"encoder/pre_norm\0\0\1", b"encoder/pre_norm\0\0\7"), "type 7"),
        (
            {},
            lambda c: c.replace(b"encoder/pre_norm\0\0\1\1", b"encoder/pre_norm\0\0\1\2"),
            "encoder/pre_norm: a length of 2",
        ),
        (
            {},
            lambda c: c.replace(b"encoder/pre_norm\0\0", b"encoder/pre_norm\0\5"),
            "encoder/pre_norm: rank 5",
        ),
        (
            {"content": {"x": np.ones((7, 7, 0), np.float32)}},
            lambda c: c.replace(struct.pack("<2I", 7, 7), b"\xff" * 8),
            r"x: a length of 0 for \[4294967295, 4294967295, 0\]",
        ),
        ({}, lambda c: c.replace(b"decoder/pre_norm", b"encoder/pre_norm"), "two variables enc"),
        ({}, lambda c: c.replace(b"decoder/alibi\0", b"decoder/alib\xff\0"), "name of a variable"),
    ],
)
def test_damage_is_told(packing: dict[str, Any], change: Any, message: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, **packing)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CheckpointError, match=message):
        ctranslate2_transformer.read(path)


@FUZZ
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tiny.write(tmp_path, **CASES[data.draw(st.sampled_from(sorted(CASES)))])
    names = ["config.json", "source_vocabulary.json", "target_vocabulary.json"]
    victim = data.draw(st.sampled_from([path, *(tmp_path / name for name in names)]))
    content = bytearray(victim.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    victim.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    ctranslate2_transformer.recognises(path)
    with contextlib.suppress(CheckpointError):
        ctranslate2_transformer.read(path)
