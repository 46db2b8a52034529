"""Files that no reader reads: one sentence names the kind of file and an alternative."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_ctranslate2
import tiny_hugging_face
import tiny_llama
import tiny_training
import torch_writer
from safetensors.numpy import save_file

from weights_import import sources
from weights_import.__main__ import main
from weights_import.errors import CheckpointError

WEIGHTS = pickle.dumps({"weight": [1.0] * 9}, protocol=2)


def zipped(*members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for member in members:
            archive.writestr(member, b"x")
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.bin"))
    return out.getvalue()


def arrays() -> bytes:
    out = io.BytesIO()
    np.savez(out, weight=np.zeros(3, np.float32))
    return out.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"
MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""First bytes of older files of PyTorch."""
FILES: dict[str, tuple[str, bytes, str]] = {
    "PyTorch, zip": ("pytorch_model.bin", zipped("a/data.pkl", "a/data/0"), "no opcode"),
    "PyTorch, older": ("model.pt", MAGIC + WEIGHTS, "pickle at byte"),
    "PyTorch, no tensors": ("scheduler.pt", torch_writer.saved({"a": 1}), "no tensors by name"),
    "PyTorch": (
        "model.pt",
        torch_writer.saved({"a": np.zeros(3, np.float32)}),
        "a checkpoint of PyTorch without the config.json that tells which model",
    ),
    "a pickle": ("checkpoint_best.ckpt", WEIGHTS, "a pickle that torch.save has not written, .*ru"),
    "a newer pickle": ("model.pkl", pickle.dumps([1, 2]), "a pickle .* save it as safetensors"),
    "the oldest pickle": ("model.pkl", pickle.dumps({"a": 1}, protocol=0), "a pickle that"),
    "pickles in a zip": ("model.zip", zipped("a/data.pkl", "b/data.pkl"), "a pickle that"),
    "TorchScript": (
        "model.pt", zipped("m/data.pkl", "m/constants.pkl", "m/code/x.py"), "a program of TorchScr",
    ),
    "Git LFS": ("model.safetensors", LFS, "pointer of Git LFS, .*git lfs pull"),
    "git-annex": ("model.bin", b"/annex/objects/SHA256E-s1--00.bin\n", "pointer of git-annex"),
    "a web page": ("model.bin", b"<!DOCTYPE html>\n<html>", "a page of the web"),
    "XML": ("openvino_model.xml", b'<?xml version="1.0"?><net>', "XML, such as OpenVINO"),
    "gzip": ("model.npz.gz", gzip.compress(b"x" * 99), "packed by gzip; unpack it"),
    "xz": ("model.bin.xz", lzma.compress(b"x" * 99), "packed by xz; unpack it"),
    "bzip2": ("model.bin.bz2", bz2.compress(b"x" * 99), "packed by bzip2; unpack it"),
    "zstd": ("model.bin.zst", b"\x28\xb5\x2f\xfd" + bytes(20), "packed by zstd; unpack it"),
    "lz4": ("model.lz4", b"\x04\x22\x4d\x18" + bytes(20), "packed by lz4"),
    "7-Zip": ("model.7z", b"7z\xbc\xaf\x27\x1c" + bytes(20), "packed by 7-Zip"),
    "tar": ("model.tar", tarred(), "a tar archive; unpack it"),
    "zip": ("model.zip", zipped("model/model.bin"), "a zip archive; unpack it"),
    "half a zip": ("model.zip", zipped("a")[:20], "a damaged zip archive"),
    "npz": ("params.npz", arrays(), r"without the options of a Marian model \(special:model.yml\)"),
    "npy": ("weight.npy", b"\x93NUMPY\x01\x00" + bytes(90), "one array of NumPy"),
    "GGML": ("ggml-model.bin", b"lmgg" + bytes(99), "llama.cpp"),
    "ONNX": ("model.onnx", b"\x08\x0a\x12\x07pytorch" + bytes(20), "an ONNX model, which is not"),
    "Core ML": ("model.mlmodel", b"\x08\x07\x12\x40com.github.apple.coremltools", "of Core ML, wh"),
    "MXNet": ("params.best", b"\x12\1\0\0\0\0\0\0" + bytes(90), "of MXNet, as Sockeye 1 and 2"),
    "MXNet, npz": ("params.npz", zipped("arg:encoder.npy"), "arrays of MXNet, .* that Sockeye 3"),
    "RWKV": (
        "model.pth", torch_writer.saved({"blocks.0.att.time_mix_k": np.zeros(3, np.float32)}),
        "a model of RWKV or Mamba, which is not read, because it is no Transformer",
    ),
    "Whisper": (
        "tiny.pt", torch_writer.saved({"decoder.blocks.0.cross_attn.key.weight": np.zeros(3)}),
        "Whisper in the form of its own program, .* because it takes sound",
    ),
    "Keras": ("tf_model.h5", b"\x89HDF\r\n\x1a\n" + bytes(90), "TensorFlow, which is not read"),
    "a saved model": ("saved_model.pb", b"\x08\x01\x12\xff\x01" + bytes(90), "of TensorFlow, wh"),
    "TensorFlow": (
        "model.ckpt-1.index", bytes(90) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "of TensorFlow, wh",
    ),
    "TensorFlow Lite": ("model.tflite", b"\x1c\0\0\0TFL3" + bytes(90), "TensorFlow Lite"),
    "Flax": ("flax_model.msgpack", b"\x82\xa5model\x81\xa6shared\x90", "of Flax, which is not"),
    "an empty file": ("model.bin", b"", "an empty file"),
    "an index": (
        "model.safetensors.index.json",
        b'{"weight_map": {"a": "a.safetensors"}}',
        "a.safetensors is missing, which model.safetensors.index.json lists as a part",
    ),
}  # fmt: skip


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    told = str(caught.value)
    assert "\n" not in told
    assert "known format" not in told
    return told


@pytest.mark.parametrize("case", FILES)
def test_a_file_is_told_by_its_content(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file itself, its folder, and the command."""
    name, content, said = FILES[case]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "README.md").write_text("A model.")
    for path in (tmp_path / name, tmp_path):
        told = refused(path)
        assert told.startswith(f"{tmp_path / name}: ")
        assert re.search(said, told)
    assert main([str(tmp_path), "-o", str(tmp_path / "out.safetensors"), "-q"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def llama(folder: Path) -> Path:
    return tiny_llama.write(folder)


def gemma(folder: Path) -> None:
    tiny_llama.write(folder, model_type="gemma3")


def whisper(folder: Path) -> None:
    tiny_hugging_face.write(folder, model_type="whisper")


def without_config(folder: Path) -> None:
    llama(folder)
    (folder / "config.json").unlink()


def damaged_config(folder: Path) -> None:
    llama(folder)
    (folder / "config.json").write_text("{")


def config_alone(folder: Path) -> None:
    llama(folder).unlink()


def tokenizer_alone(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def pickled_deberta(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "deberta"}')
    (folder / "pytorch_model.bin").write_bytes(zipped("archive/data.pkl"))


def pickled_marian(folder: Path) -> None:
    tiny_hugging_face.write(folder).unlink()
    content = torch_writer.saved({"a": np.zeros(3, np.float32)})
    (folder / "pytorch_model.bin").write_bytes(content)


def quantised_pickle(folder: Path) -> None:
    llama(folder).unlink()
    name = "model.layers.0.mlp.gate_proj.qweight"
    content = torch_writer.saved({name: np.zeros((2, 2), np.int32)})
    (folder / "pytorch_model.bin").write_bytes(content)


def consolidated_pickle(folder: Path) -> None:
    name = "layers.0.attention.wq.weight"
    content = torch_writer.saved({name: np.zeros((2, 2), np.float16)}, legacy=True)
    (folder / "consolidated.00.pth").write_bytes(content)


def in_parts(folder: Path) -> None:
    path = llama(folder)
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    path.rename(folder / names[0])
    save_file({"lm_head.weight": np.zeros((13, 24), np.float32)}, folder / names[1])
    listed = {"model.embed_tokens.weight": names[0], "lm_head.weight": names[1]}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))


def one_part(folder: Path) -> None:
    llama(folder).rename(folder / "model-00001-of-00002.safetensors")


def adapter(folder: Path) -> None:
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({name: np.zeros((2, 2), np.float32)}, folder / "adapter_model.safetensors")


def adapter_config(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')


def quantised(folder: Path) -> None:
    content: dict[str, Any] = {
        "model.layers.0.mlp.gate_proj.qweight": np.zeros((2, 2), np.int32),
        "model.embed_tokens.weight": np.zeros((13, 24), np.float32),
    }
    llama(folder)
    save_file(content, folder / "model.safetensors")


def quantised_by_config(folder: Path) -> None:
    tiny_llama.write(folder, quantization_config={"quant_method": "bitsandbytes"})


def consolidated(folder: Path) -> None:
    llama(folder)
    content = {"layers.0.attention.wq.weight": np.zeros((2, 2), np.float32)}
    (folder / "model.safetensors").unlink()
    save_file(content, folder / "consolidated.safetensors")


def own(folder: Path) -> None:
    content = {"x": np.zeros(3, np.float32)}
    save_file(content, folder / "en-pt.safetensors", {"int8ref": "{}"})


def other_tensors(folder: Path) -> None:
    llama(folder)
    save_file({"x": np.zeros(3, np.float32)}, folder / "model.safetensors")


FOLDERS: dict[Callable[[Path], Any], str] = {
    gemma: "config.json tells of a model of kind 'gemma3', which is not read, because it takes or"
    " makes pictures",
    whisper: "a model of kind 'whisper', which is not read, because it takes or makes sound",
    without_config: "a safetensors without the config.json that tells which model",
    damaged_config: "its configuration is damaged: config.json: ",
    config_alone: "a configuration alone; no weights are beside it",
    tokenizer_alone: "a tokenizer alone; no weights are beside it",
    pickled_deberta: "a model of kind 'deberta', which is not read",
    pickled_marian: "its tensors are not those of the model that config.json tells of",
    quantised_pickle: "weights that are quantised already (such as GPTQ, AWQ, bitsandbytes)",
    consolidated_pickle: "the names of Meta's and Mistral's own programs",
    one_part: "a part of a checkpoint, without the index (NAME.index.json) that lists the parts",
    adapter: "an adapter (LoRA), which is a change to another model; merge it",
    adapter_config: "an adapter (LoRA)",
    quantised: "weights that are quantised already (such as GPTQ, AWQ, bitsandbytes)",
    quantised_by_config: "config.json: the weights are quantised by bitsandbytes",
    consolidated: "the names of Meta's and Mistral's own programs",
    own: "a model file of int8ref already",
    other_tensors: "its tensors are not those of the model that config.json tells of",
}


@pytest.mark.parametrize("write", FOLDERS, ids=lambda write: write.__name__)
def test_a_folder_is_told_by_what_is_in_it(write: Callable[[Path], Any], tmp_path: Path) -> None:
    write(tmp_path)
    assert FOLDERS[write] in refused(tmp_path)


@pytest.mark.parametrize("write", [gemma, adapter, own, one_part], ids=lambda write: write.__name__)
def test_so_is_a_file_of_it(write: Callable[[Path], Any], tmp_path: Path) -> None:
    write(tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    assert FOLDERS[write] in refused(path)


def test_parts_beside_a_whole_checkpoint_do_no_harm(tmp_path: Path) -> None:
    in_parts(tmp_path)
    llama(tmp_path)
    assert sources.read(tmp_path).provenance["file"] == "model.safetensors"


def test_a_pointer_in_the_place_of_a_tokenizer(tmp_path: Path) -> None:
    tiny_hugging_face.write(tmp_path)
    (tmp_path / "source.spm").write_bytes(LFS)
    assert "source.spm: a pointer of Git LFS" in refused(tmp_path)
    (tmp_path / "source.spm").unlink()
    (tmp_path / "config.json").write_bytes(LFS)
    assert "config.json: a pointer of Git LFS" in refused(tmp_path)


@pytest.mark.parametrize("depth", ["model", "snapshots/abc", "a/b/c"])
def test_a_checkpoint_in_a_folder_around_it(depth: str, tmp_path: Path) -> None:
    folder = tmp_path / depth
    folder.mkdir(parents=True)
    tiny_hugging_face.write(folder)
    (tmp_path / ".git").mkdir()
    assert sources.read(tmp_path).provenance["file"] == "model.safetensors"
    assert sources.files(tmp_path)[0] == folder / "model.safetensors"


def test_folders_with_several_checkpoints(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        tiny_hugging_face.write(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"one/model.safetensors, two/model.safetensors"):
        sources.read(tmp_path)


def test_an_unpacked_package_of_argos(tmp_path: Path) -> None:
    """The reader takes the tokenizer and the languages of the outer folder."""
    (tmp_path / "model").mkdir()
    tiny_ctranslate2.write(tmp_path / "model")
    told = {"from_code": "en", "to_code": "pt_BR", "package_version": "1.0"}
    (tmp_path / "metadata.json").write_text(json.dumps(told))
    assert sources.read(tmp_path).languages is None
    for side in ("source", "target"):
        (tmp_path / "model" / f"{side}_vocabulary.json").unlink()
    plain = tiny_training.tokenizer()
    (tmp_path / "sentencepiece.model").write_bytes(plain)
    pieces = [*tiny_ctranslate2.SOURCE]
    (tmp_path / "model" / "source_vocabulary.json").write_text(json.dumps(pieces))
    target = json.dumps(tiny_ctranslate2.TARGET)
    (tmp_path / "model" / "target_vocabulary.json").write_text(target)
    model = sources.read(tmp_path)
    assert model.languages == ("en", "pt-BR")
    assert set(model.tokenizers) == {"source", "target"}
    told["from_code"] = "../x"
    (tmp_path / "metadata.json").write_text(json.dumps(told))
    assert sources.read(tmp_path).languages is None


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "pipe: neither a regular file nor a folder" in refused(tmp_path / "pipe")
