"""GGUF files: equal to the checkpoints that they were converted from, and to their definition."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_decoders
import tiny_gguf as tiny
import tiny_gpt2
from damage import FUZZ, damage
from hypothesis import given
from hypothesis import strategies as st

from weights_import import sources
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.forward import forced
from weights_import.sources import gguf_file
from weights_import.sources.gguf_tokenizer import SPLITTERS, write_tokenizer

TARGET = [4, 5, 6, 3, 11, 9, 2, 7]
PLAIN = "mistral, own size of heads"


def converted(folder: Path, case: str) -> Path:
    """Write the checkpoint of transformers that a case was converted from."""
    if case == "gpt2":
        return tiny_gpt2.write(folder)
    kept = {name: value for name, value in tiny.CASES[case].items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))
    path = folder / "model.safetensors"
    tiny_decoders.save_file(tiny.tensors(case), path)
    return path


@pytest.mark.parametrize("case", tiny.CASES)
def test_it_is_the_checkpoint_that_it_was_converted_from(case: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    found = sources.read(tiny.write(tmp_path / "a", case))
    wanted = sources.read(converted(tmp_path / "b", case))
    (x,), (y,) = (forced(model, [[]], [TARGET]) for model in (found, wanted))
    np.testing.assert_allclose(x, y, atol=1e-5)
    assert found.generation == wanted.generation
    assert found.warnings == wanted.warnings
    told = wanted.provenance["format"].replace("Hugging Face", "GGUF").replace("Mistral", "Llama")
    assert (found.provenance["format"], found.provenance["file"]) == (told, "model.gguf")


@pytest.mark.parametrize("case", [PLAIN, "falcon", "qwen2", "bloom"])
def test_logits_are_those_of_an_installed_transformers(case: str, tmp_path: Path) -> None:
    """transformers reads such files too, but leaves out most scalings of positions."""
    torch = pytest.importorskip("torch", reason="the reference of transformers needs torch")
    transformers = pytest.importorskip("transformers", reason="it is the reference")
    pytest.importorskip("accelerate", reason="transformers needs it for GGUF")
    kind = tiny.metadata(tiny.CASES[case])["general.architecture"]
    keys = {f"{kind}.vocab_size": tiny_decoders.VOCABULARY, "general.name": "tiny"}
    model = sources.read(tiny.write(tmp_path, case, keys=keys))
    other = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file="model.gguf", dtype=torch.float32
    )
    with torch.no_grad():
        wanted = other(torch.tensor([[model.generation.start, *TARGET]])).logits[0].numpy()
    (found,) = forced(model, [[]], [TARGET])
    np.testing.assert_allclose(found, wanted, atol=1e-4)


MATRICES = {
    f"m{i}": np.random.default_rng(i).normal(0, 1, (3 + i, 64)).astype(np.float32) for i in range(3)
}
MATRICES["vector"] = np.arange(5, dtype=np.float32)
KEYS: dict[str, Any] = {
    "general.architecture": "llama", "a": 7, "b": 0.5, "c": True, "d": ["x", "y\u00fc"],
    "e": [1, 2, 3], "f": [0.25, 0.5], "g": [], "h": [False, True],
}  # fmt: skip


@pytest.mark.parametrize("kind", tiny.TYPES)
@pytest.mark.parametrize("version", [2, 3])
def test_types_of_numbers(kind: str, version: int, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(tiny.pack(KEYS, MATRICES, kind, version))
    found = gguf_file.contents(path)
    for name, x in MATRICES.items():
        tensor = found.tensors[name]
        assert tensor.shape == x.shape
        if kind == "Q8_0" and x.ndim == 2:
            wanted = dequantised(tiny.q8_0(x)).reshape(x.shape)
            assert np.abs(wanted - x).max() < 0.02
        elif kind in ("F16", "BF16") and x.ndim == 2:
            bits = 16 if kind == "F16" else 32
            wanted = x.astype(np.float16) if bits == 16 else rounded(x)
        else:
            wanted = x
        np.testing.assert_array_equal(tensor.read(), wanted.astype(np.float32))
        assert tensor.bfloat16 == (kind == "BF16" and x.ndim == 2)
    for key, value in KEYS.items():
        told = found.metadata[key]
        assert (told.tolist() if isinstance(told, np.ndarray) else told) == value


def dequantised(content: bytes) -> Any:
    """Q8_0 as its definition has it, a block at a time."""
    numbers: list[Any] = []
    for at in range(0, len(content), 34):
        scale, *integers = struct.unpack_from("<e32b", content, at)
        numbers += [np.float32(scale) * np.float32(q) for q in integers]
    return np.array(numbers, np.float32)


def rounded(x: Any) -> Any:
    return (x.view(np.uint32) & 0xFFFF0000).view(np.float32)


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0"])
def test_files_that_the_library_gguf_writes(kind: str, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="it is the reference")
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama")
    writer.add_uint32("a", 7)
    writer.add_array("d", ["x", "y\u00fc"])
    writer.add_array("e", [1, 2, 3])
    writer.add_float64("f", 0.1)
    type_ = gguf.GGMLQuantizationType[kind]
    made = {name: gguf.quants.quantize(x, type_) for name, x in MATRICES.items() if x.ndim == 2}
    for name, x in made.items():
        writer.add_tensor(name, x, raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = gguf_file.contents(tmp_path / "x.gguf")
    assert (found.metadata["a"], found.metadata["d"], found.metadata["f"]) == (7, ["x", "yü"], 0.1)
    for name, x in made.items():
        wanted = gguf.quants.dequantize(x, type_).reshape(MATRICES[name].shape)
        np.testing.assert_array_equal(found.tensors[name].read(), wanted)


def test_a_whole_model_in_q8_0(tmp_path: Path) -> None:
    wide = tiny.CASES[PLAIN] | {"hidden_size": 64, "intermediate_size": 32, "head_dim": 16}
    random = np.random.default_rng(0)
    shapes = {"q_proj": (64, 64), "k_proj": (32, 64), "v_proj": (32, 64), "o_proj": (64, 64)}
    content = {"model.embed_tokens.weight": (13, 64), "lm_head.weight": (13, 64),
               "model.norm.weight": (64,)}  # fmt: skip
    for i in range(2):
        at = f"model.layers.{i}"
        content |= {f"{at}.self_attn.{part}.weight": s for part, s in shapes.items()}
        content |= {f"{at}.mlp.{p}_proj.weight": (32, 64) for p in ("gate", "up")}
        content |= {f"{at}.mlp.down_proj.weight": (64, 32)}
        content |= {f"{at}.{n}_layernorm.weight": (64,) for n in ("input", "post_attention")}
    tensors: dict[str, Any] = {
        n: random.normal(0, 0.3, s).astype(np.float32) for n, s in content.items()
    }
    path = tmp_path / "model.gguf"
    logits = []
    for kind in ("F32", "Q8_0"):
        path.write_bytes(tiny.packed(wide, tensors, kind=kind))
        logits += forced(sources.read(path), [[]], [TARGET])
    assert 0 < np.abs(logits[0] - logits[1]).max() < 0.1


def test_a_tokenizer_of_pieces_with_scores(tmp_path: Path) -> None:
    pieces = ["<unk>", "<s>", "</s>", "\u2581", *"abcd", "ab", "e", "<|chat|>"]
    types = [2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 4]
    keys = {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": [*pieces, "x", "y"],
        "tokenizer.ggml.scores": [0.0, 0.0, 0.0, -9.0, -3.0, -3.0, -3.0, -3.0, -1.0] + [0.0] * 4,
        "tokenizer.ggml.token_type": [*types, 1, 1], "tokenizer.ggml.unknown_token_id": 0,
    }  # fmt: skip
    model = sources.read(tiny.write(tmp_path, PLAIN, keys=keys))
    assert tokenize(model, ["abc<|chat|>d"]) == [[3, 8, 6, 10, 7, 2]]
    unspaced = keys | {"tokenizer.ggml.add_space_prefix": False}
    model = sources.read(tiny.write(tmp_path, PLAIN, keys=unspaced))
    assert tokenize(model, ["abe"]) == [[8, 9, 2]]


def byte_pairs(**more: Any) -> dict[str, Any]:
    tokens = ["<|end|>", "a", "b", "c", "ab", "\u0120", "\u0120c", "1", "\u0120ab"]
    return {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": np.array([3, *[1] * 8]),
        "tokenizer.ggml.merges": ["a b", "\u0120 c", "\u0120 ab"], "tokenizer.ggml.pre": "gpt-2",
    } | more  # fmt: skip


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_a_tokenizer_of_pairs_of_bytes(splitter: str, tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="it reads the file")
    said = write_tokenizer(byte_pairs(**{"tokenizer.ggml.pre": splitter}), {}, tmp_path)
    assert len(said) == (splitter == "default")
    read = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert read.encode("ab ab c11<|end|>a").ids == [4, 8, 6, 7, 7, 0, 1]
    assert read.decode([4, 8, 6, 7]) == "ab ab c1"


def test_pairs_of_bytes_in_a_file(tmp_path: Path) -> None:
    keys = byte_pairs(**{"tokenizer.ggml.token_type": [3, *[1] * 8]})
    model = sources.read(tiny.write(tmp_path, PLAIN, keys=keys))
    assert tokenize(model, ["ab ab c11<|end|>a"]) == [[4, 8, 6, 7, 7, 0, 1, 2]]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "architecture": ({"general.architecture": "mamba"}, "of the architecture 'mamba', which is n"),
    "no architecture": ({"general.architecture": 3}, "architecture 3"),
    "experts": ({"llama.expert_count": 8}, "expert_count is 8, a mixture of experts, which is no"),
    "adapter": ({"general.type": "adapter"}, "an adapter, .* merge it"),
    "pictures": ({"general.type": "mmproj"}, "pictures or sound"),
    "parts": ({"split.count": 3}, "a part of a model in several files; join them"),
    "layers": ({"llama.feed_forward_length": [20, 24]}, "differs from layer to layer"),
    "text": ({"llama.block_count": "2"}, "llama.block_count is no number"),
    "scaling": ({"llama.rope.scaling.type": "own"}, "rope.scaling.type is 'own'"),
    "values": ({"llama.attention.value_length": 8}, "key_length and attention.value_length differ"),
    "alignment": ({"general.alignment": 0}, "general.alignment is 0"),
    "tokens": ({"tokenizer.ggml.model": "llama"}, "tokens is no list of texts"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read(case: str, tmp_path: Path) -> None:
    keys, said = REFUSED[case]
    path = tiny.write(tmp_path, PLAIN, keys=keys)
    with pytest.raises(CheckpointError, match=said) as caught:
        sources.read(tmp_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said"), [(16, "IQ2_XXS"), (34, "TQ1_0"), (39, "MXFP4"), (99, "number 99")]
)
def test_types_that_are_not_read(code: int, said: str, tmp_path: Path) -> None:
    content = tiny.pack({}, {"x": np.zeros((1, 32), np.float32)})
    at = content.index(b"x\x02\0\0\0") + 1 + 4 + 16
    path = tmp_path / "x.gguf"
    path.write_bytes(content[:at] + struct.pack("<I", code) + content[at + 4 :])
    told = f"x: its numbers are of type {said}, which is not read; .*F16, BF16, F64, Q4_0, .*, or"
    with pytest.raises(CheckpointError, match=told):
        sources.read(path)


def test_other_versions(tmp_path: Path) -> None:
    content = tiny.pack({}, {})
    for version, said in ((b"\1\0\0\0", "version 1:"), (b"\0\0\0\3", r"big endian\): the versi")):
        (tmp_path / "x.gguf").write_bytes(content[:4] + version + content[8:])
        with pytest.raises(CheckpointError, match=said):
            sources.read(tmp_path)


def test_tensors_lie_apart(tmp_path: Path) -> None:
    content = tiny.pack({}, {"x": np.zeros((2, 8), np.float32), "y": np.zeros(8, np.float32)})
    at = content.index(b"y\x01\0\0\0") + 1 + 4 + 8 + 4
    path = tmp_path / "x.gguf"
    path.write_bytes(content[:at] + struct.pack("<Q", 32) + content[at + 8 :])
    with pytest.raises(CheckpointError, match="reach beyond 32, where y begins"):
        sources.read(path)
    path.write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match="where the file ends"):
        sources.read(path)


def test_a_count_beyond_the_file_takes_no_memory(tmp_path: Path) -> None:
    for kind, size in ((8, 2**60), (4, 2**40), (9, 2)):
        array = struct.pack("<IIQ", 9, kind, size)
        head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + tiny.text("a") + array
        (tmp_path / "x.gguf").write_bytes(head)
        with pytest.raises(CheckpointError, match=r"needs .* bytes|no type of a number"):
            sources.read(tmp_path)


@FUZZ
@given(data=st.data(), case=st.sampled_from(["llama, llama3", "phi3, longrope", "gpt2"]))
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject, case: str) -> None:
    path = tiny.write(tmp_path, case)
    damage(data, [path], 3000)
    with contextlib.suppress(CheckpointError):
        sources.read(path)
