"""The reader of Marian's .npz: round trips, pickles, bombs and damage."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_marian as tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weights_import.errors import CheckpointError
from weights_import.sources import marian_bin, marian_npz, zip_members

FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def arrays(seed: int = 0) -> dict[str, Any]:
    text = np.frombuffer(tiny.OPTIONS.encode() + b"\0", np.int8)
    items = {name: item.values for name, item in tiny.stored(seed).items()}
    return {**items, "special:model.yml": text}


def write(folder: Path, content: dict[str, Any], compressed: bool = False) -> Path:
    path = folder / "model.npz"
    (np.savez_compressed if compressed else np.savez)(path, **content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        marian_npz.read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_holds_the_same_model_as_a_bin(tmp_path: Path, compressed: bool) -> None:
    path = write(tmp_path, arrays(), compressed)
    binary = tmp_path / "model.bin"
    binary.write_bytes(tiny.write_bin(tiny.stored(0)))
    one, other = marian_npz.read(path), marian_bin.read(binary)
    assert (one.program, one.generation) == (other.program, other.generation)
    assert one.tensors.keys() == other.tensors.keys()
    for name, values in one.tensors.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, other.tensors[name], err_msg=name)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    path = write(tmp_path, {**arrays(), "Wemb": np.array([Trap()], object)})
    assert "Wemb: unsupported array header" in refusal(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("Wemb", np.zeros((11, 8)), "Wemb: type <f8, expected <f4"),
        ("Wemb", np.zeros((11, 8), ">f4"), "Wemb: unsupported array header"),
        ("Wemb", np.zeros((11, 8), np.int8), "Wemb: type |i1, expected <f4"),
        ("Wemb", np.asfortranarray(np.zeros((11, 8), np.float32)), "unsupported array header"),
        ("Wemb", np.float32(1), "unsupported array header"),
        ("Wemb", np.zeros((11, 9), np.float32), "wrong shape source_embedding"),
        ("special:model.yml", np.zeros(3, np.float32), "special:model.yml: type <f4"),
    ],
)
def test_wrong_arrays(tmp_path: Path, name: str, values: Any, message: str) -> None:
    assert message in refusal(write(tmp_path, {**arrays(), name: values}))


def test_options_are_needed(tmp_path: Path) -> None:
    content = arrays()
    del content["special:model.yml"]
    path = write(tmp_path, content)
    assert not marian_npz.recognises(path)
    assert "no array named special:model.yml" in refusal(path)


def test_a_bomb_is_refused_before_it_expands(tmp_path: Path) -> None:
    content = {**arrays(), "bomb": np.zeros(1 << 23, np.float32)}
    assert "would expand to" in refusal(write(tmp_path, content, compressed=True))


@pytest.mark.parametrize("shape", [(11, 9), (2**31, 2**31), (10**10, 8)])
def test_a_header_that_promises_more_than_there_is(tmp_path: Path, shape: tuple[int, int]) -> None:
    member = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    path = write(tmp_path, {name: v for name, v in arrays().items() if name != "Wemb"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("Wemb.npy", member.getvalue() + bytes(4 * 88))
    assert "Wemb" in refusal(path)


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_members, "MAXIMUM_MEMBERS", 3)
    assert "at most 3" in refusal(write(tmp_path, arrays()))


def test_two_arrays_of_one_name(tmp_path: Path) -> None:
    path = write(tmp_path, arrays())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("Wemb.npy", b"")
    assert "two members named Wemb" in refusal(path)


def test_foreign_compression(tmp_path: Path) -> None:
    path = write(tmp_path, arrays())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("extra.npy", b"")
    assert "extra.npy: compression 14" in refusal(path)


@FUZZ
@given(data=st.data(), compressed=st.booleans())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject, compressed: bool) -> None:
    path = write(tmp_path, arrays(), compressed)
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    for _ in range(data.draw(st.integers(1, 3))):
        offset = data.draw(
            st.integers(0, len(content) - 1) | st.integers(directory, len(content) - 1)
        )
        content[offset] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    marian_npz.recognises(path)
    with contextlib.suppress(CheckpointError):
        marian_npz.read(path)
