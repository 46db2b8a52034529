"""Files that are no model: one sentence names the kind of the file and a remedy."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from int8ref.files import container, foreign, model_file
from int8ref.files.model_file import ModelFileError
from tests.helpers.processes import Command, run
from tests.weights_import import tiny_ctranslate2, tiny_hugging_face, tiny_marian

IMPORT = "import it with: python -m weights_import"


def archive(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr(name, b"content")
    return out.getvalue()


def npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, a=np.zeros(3, np.float32))
    return out.getvalue()


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        made.addfile(tarfile.TarInfo("model.bin"))
    return out.getvalue()


FILES = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n": "a Git LFS pointer",
    gzip.compress(b"model", mtime=0): "compressed by gzip",
    bz2.compress(b"model"): "compressed by bzip2",
    lzma.compress(b"model"): "compressed by xz",
    tar(): "a tar archive",
    b"GGUF\x03\0\0\0" + bytes(99): "a GGUF file",
    b"\x89HDF\r\n\x1a\n" + bytes(99): "an HDF5 file",
    pickle.dumps({"a": 1}, 2): "a pickle, which is never opened",
    pickle.dumps({"a": 1}): "a pickle, which is never opened",
    archive("archive/data.pkl"): "a pickle, which is never opened",
    archive("translate-en_pt-1_0/metadata.json"): "a zip archive",
    npz(): f"a checkpoint, not a model file: {IMPORT} FILE",
    container.pack(
        {"a": np.zeros(4, np.int8)}, "format", '"pt"'
    ): "not an int8ref model: the metadata is not one text",
    "# Modelo\nÁgua não é café.\n".encode(): "a text, not a model file",
    ("á" * foreign.HEAD_BYTES).encode()[1:]: "",
    ("a" + "á" * foreign.HEAD_BYTES).encode(): "a text, not a model file",
    b"": "an empty file",
}


@pytest.mark.parametrize("content", FILES, ids=lambda content: repr(content[:6]))
def test_what_a_file_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.file"
    path.write_bytes(content)
    wanted = FILES[content].replace("FILE", str(path))
    with pytest.raises(ModelFileError) as caught:
        model_file.load(path)
    assert str(caught.value).startswith(f"{path}: {wanted}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + 2 * len(str(path))


def test_checkpoints_that_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(npz())
    (tmp_path / "marian.bin").write_bytes(tiny_marian.write_bin(tiny_marian.stored(1)))
    (tmp_path / "ctranslate2").mkdir()
    (tmp_path / "transformers").mkdir()
    commands = {
        tmp_path / "model.npz": tmp_path / "model.npz",
        tmp_path / "marian.bin": tmp_path / "marian.bin",
        tiny_ctranslate2.write(tmp_path / "ctranslate2"): tmp_path / "ctranslate2" / "model.bin",
        tmp_path / "ctranslate2": tmp_path / "ctranslate2",
        tiny_hugging_face.write(tmp_path / "transformers"): tmp_path / "transformers",
    }
    for path, source in commands.items():
        with pytest.raises(ModelFileError) as caught:
            model_file.load(path)
        assert str(caught.value).endswith(f"{IMPORT} {source} -o model.safetensors")


def test_a_model_of_ours_that_is_damaged_is_told_as_that(tiny_file: Path, tmp_path: Path) -> None:
    content = bytearray(tiny_file.read_bytes())
    content[-40] ^= 1
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(ModelFileError, match="damaged: the SHA-256"):
        model_file.load(tmp_path / "model")
    (tmp_path / "model").write_bytes(content[:-100])
    with pytest.raises(ModelFileError, match="where the header tells of"):
        model_file.load(tmp_path / "model")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="not a regular file"):
        model_file.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelFileError, match=f"a folder, .* {IMPORT} {tmp_path} -o"):
        model_file.load(tmp_path)


COMMANDS: dict[str, Callable[[Path], Command]] = {
    "translate": lambda path: ["-m", path, "a cat"],
    "score": lambda path: ["-m", path],
    "generate": lambda path: ["-m", path, "a cat"],
    "perplexity": lambda path: ["-m", path],
    "vectors": lambda path: ["-m", path, "-o", path.with_suffix(".npz"), "a cat"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.npz.bin"
    path.write_bytes(npz())
    status, out, errors = run([sys.executable, "-m", f"int8ref.{name}", *COMMANDS[name](path)])
    assert (status, out) == (1, b"")
    assert errors == (
        f"int8ref: error: {path}: a checkpoint, not a model file:"
        f" {IMPORT} {path} -o model.safetensors\n"
    )
