"""Unpacked models in the cache: equal to their files, and replaced after damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from int8ref.files import cached, container
from int8ref.files.model_file import UNPACKED, Model, ModelFileError, load

METADATA = cached.metadata(UNPACKED)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("INT8REF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def assert_equal(one: Model, two: Model) -> None:
    assert (one.source, one.target, one.digest) == (two.source, two.target, two.digest)
    assert one.tensors.keys() == two.tensors.keys()
    for name, tensor in one.tensors.items():
        assert tensor.dtype == two.tensors[name].dtype
        np.testing.assert_array_equal(tensor, two.tensors[name], name)


def test_a_model_is_unpacked_once(
    tiny_file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load(tiny_file)
    assert not folder.exists(), "kept only where that is asked for"
    assert_equal(load(tiny_file, keep_unpacked=True), plain)
    for name in ("decompress", "inflate"):
        monkeypatch.setattr(container, name, lambda *_: pytest.fail("unpacked again"))
    again = load(tiny_file, keep_unpacked=True)
    assert_equal(again, plain)
    assert not any(tensor.flags.writeable for tensor in again.tensors.values())


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "truncated": lambda whole: whole[:-1],
    "one bit": lambda whole: whole[:-500] + bytes([whole[-500] ^ 1]) + whole[-499:],
    "of another model": lambda whole: container.pack(
        container.unpack(whole, METADATA).tensors, METADATA, '"0"'
    ),
    "nothing in it": lambda whole: container.pack(
        {"x": np.zeros(1, np.int8)},
        METADATA,
        f'"{container.unpack(whole, METADATA).document}"',
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_made_again(
    tiny_file: Path, folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    plain = load(tiny_file)
    load(tiny_file, keep_unpacked=True)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert_equal(load(tiny_file, keep_unpacked=True), plain)
    assert path.read_bytes() == good


def test_works_without_a_folder_to_write_to(tiny_file: Path, folder: Path) -> None:
    folder.write_text("not a folder")
    assert_equal(load(tiny_file, keep_unpacked=True), load(tiny_file))


def test_a_damaged_model_is_refused_whatever_is_kept(tiny_file: Path, tmp_path: Path) -> None:
    load(tiny_file, keep_unpacked=True)
    whole = tiny_file.read_bytes()
    for at in (100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "m.safetensors").write_bytes(
            whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        )
        with pytest.raises(ModelFileError):
            load(tmp_path / "m.safetensors", keep_unpacked=True)
