"""Packages of Argos Translate as they are downloaded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_argos as tiny
from damage import FUZZ
from hypothesis import given
from hypothesis import strategies as st

from weights_import import sources
from weights_import.__main__ import languages_of
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.forward import forced


def unpacked(folder: Path, content: dict[str, bytes]) -> Path:
    for place, one in content.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(one)
    return folder


@pytest.mark.parametrize("prefix", ["", "B"])
def test_a_package_is_its_folder(tmp_path: Path, prefix: str) -> None:
    content = tiny.files(tmp_path / "made", target_prefix=prefix)
    path = tiny.write(tmp_path / "x.argosmodel", content)
    found = sources.read(path)
    wanted = sources.read(unpacked(tmp_path / "folder", content))
    for name in wanted.tensors:
        np.testing.assert_array_equal(found.tensors[name], wanted.tensors[name])
    assert found.tokenizers == wanted.tokenizers
    assert found.generation == wanted.generation
    assert found.generation.target_prefix == ((4,) if prefix else ())
    assert found.languages == wanted.languages == ("pb", "en")
    assert tokenize(found, ["abc"]) == tokenize(wanted, ["abc"])
    (x,), (y,) = (forced(model, [[3, 4]], [[5]]) for model in (found, wanted))
    np.testing.assert_array_equal(x, y)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.provenance == {
        "file": "x.argosmodel", "format": "Argos Translate", "sha256": digest,
    }  # fmt: skip
    assert sources.files(path) == [path]


def test_the_command_takes_the_languages(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path / "x.argosmodel", tiny.files(tmp_path / "made")))
    assert languages_of(model, None, "my-model") == ("pb", "en")
    assert languages_of(model, ("pt", "en"), "my-model") == ("pt", "en")


def test_an_older_package_with_codes(tmp_path: Path) -> None:
    content = tiny.files(tmp_path / "made")
    del content["sentencepiece.model"]
    pieces = ["<s>", "</s>", "<unk>", "a@@", "b", "ab", "c", "d", "e", "f", "g", "h"]
    content["model/source_vocabulary.json"] = json.dumps(pieces).encode()
    content["bpe.model"] = b"#version: 0.2\na b</w>\n"
    model = sources.read(tiny.write(tmp_path / "x.argosmodel", content))
    assert tokenize(model, ["ab c x"]) == [[5, 6, 2]]
    assert model.languages == ("pb", "en")


def test_nothing_is_left_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tiny.files(tmp_path / "made")
    path = tiny.write(tmp_path / "x.argosmodel", content)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    model = sources.read(path)
    assert list((tmp_path / "temporary").iterdir()) == []
    path.unlink()
    assert model.tensors["output.weight"].shape == (10, 8)


def test_names_never_become_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tiny.files(tmp_path / "made")
    path = tiny.write(tmp_path / "x.argosmodel", content, "..")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../../outside", b"x")
        archive.writestr("/absolute", b"x")
    sources.read(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["made", "x.argosmodel"]
    assert not Path("/absolute").exists()


REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "damaged metadata": ({"metadata.json": b"{"}, "metadata.json: "),
    "damaged model": ({"model/model.bin": b"xx"}, "version at byte 0"),
    "no vocabulary": ({"model/source_vocabulary.json": b""}, "source_vocabulary.json: "),
    "no token": ({"metadata.json": b'{"target_prefix": "QQ"}'}, "target_prefix QQ is no token"),
    "no text": ({"metadata.json": b'{"target_prefix": [1]}'}, r"target_prefix \[1\] is no token"),
    "bomb": ({"model/config.json": b" " * (1 << 24)}, "would expand to"),
    "tokenizer": ({"sentencepiece.model": b"x"}, "source tokenizer"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong(case: str, tmp_path: Path) -> None:
    changes, said = REFUSED[case]
    path = tiny.write(tmp_path / "x.argosmodel", tiny.files(tmp_path / "made") | changes)
    with pytest.raises(CheckpointError, match=said) as caught:
        sources.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert tempfile.gettempdir() not in str(caught.value).removeprefix(f"{path}: ")


def test_several_folders(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "x.argosmodel", tiny.files(tmp_path / "made"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/metadata.json", json.dumps(tiny.METADATA))
    with pytest.raises(CheckpointError, match="one folder, but this one has 2"):
        sources.read(path)


@FUZZ
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    content: dict[str, Any] = tiny.files(tmp_path / "made")
    path = tiny.write(tmp_path / "x.argosmodel", content)
    found = bytearray(path.read_bytes())
    directory = found.index(b"PK\x01\x02")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(found) - 1) | st.integers(directory, len(found) - 1))
        found[at] = data.draw(st.integers(0, 255))
    path.write_bytes(found)
    with contextlib.suppress(CheckpointError):
        sources.read(path)
