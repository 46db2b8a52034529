"""Files of torch.save in both forms: every type and view, real files, and faults."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_writer as writer
from damage import FUZZ
from hypothesis import given
from hypothesis import strategies as st
from torch_writer import Call, Named, Parameter, Storage, View

from weights_import.errors import CheckpointError
from weights_import.sources.safetensors_file import Integers
from weights_import.sources.torch_file import TorchFile, contents, outline
from weights_import.tensors import Stored

VALUES = np.random.default_rng(0).normal(0, 1, (5, 7)).astype(np.float32)
REAL: dict[str, str] = json.loads(Path(__file__).with_name("torch_files.json").read_text())
"""What PyTorch 2.13 writes of a checkpoint of training, compressed and in base64."""
FORMS = {"zip": False, "legacy": True}
form = pytest.mark.parametrize("legacy", FORMS.values(), ids=FORMS)


def write(folder: Path, value: Any, legacy: bool = False, protocol: int = 2) -> Path:
    path = folder / "pytorch_model.bin"
    path.write_bytes(writer.saved(value, legacy, protocol))
    return path


def real(folder: Path, name: str) -> Path:
    path = folder / "checkpoint.pt"
    path.write_bytes(zlib.decompress(base64.b64decode(REAL[name])))
    return path


@pytest.mark.parametrize("name", REAL)
def test_files_that_pytorch_has_written(name: str, tmp_path: Path) -> None:
    """Views of one storage, parameters, an empty tensor, and a namespace beside them."""
    path = real(tmp_path, name)
    found = contents(path).tensors
    numbers = {name: stored.read().tolist() for name, stored in found.items()}
    assert numbers == {
        "a": [[0, 1, 2], [3, 4, 5]], "t": [[0, 3], [1, 4], [2, 5]], "row": [3, 4, 5],
        "half": [1.5, -2], "b": [[0.5], [3]], "i": 7, "flag": [True, False], "p": [[1, 1]],
        "none": [],
    }  # fmt: skip
    assert found["none"].shape == found["none"].read().shape == (0, 3)
    assert {name for name, one in found.items() if isinstance(one, Integers)} == {"i", "flag"}
    assert [name for name, one in found.items() if one.bfloat16] == ["b"]
    value = TorchFile.of(path).value
    assert (value["args"], value["epoch"]) == ({"layers": 2}, 3)
    assert b"half" in outline(path)


@form
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_are_what_was_saved(legacy: bool, protocol: int, tmp_path: Path) -> None:
    path = write(tmp_path, {"a": VALUES, "p": Parameter(View.of(VALUES[1:]))}, legacy, protocol)
    found = contents(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for name, values in (("a", VALUES), ("p", VALUES[1:])):
        stored = found.tensors[name]
        assert (stored.name, stored.shape, type(stored)) == (name, values.shape, Stored)
        np.testing.assert_array_equal(stored.read(), values)
        stored.read()[:] = 0
        np.testing.assert_array_equal(stored.read(), values)


@form
@pytest.mark.parametrize("kind", writer.KINDS)
def test_every_type_of_number(legacy: bool, kind: str, tmp_path: Path) -> None:
    values = np.arange(6).astype(kind).reshape(3, 2)
    stored = contents(write(tmp_path, {"x": values}, legacy)).tensors["x"]
    found = stored.read()
    if kind == "<u2":
        assert stored.bfloat16
        values = (values.astype(np.uint32) << 16).view(np.float32)
    assert isinstance(stored, Integers) == (kind not in ("<u2", "<f2", "<f4", "<f8"))
    assert found.dtype == (values.dtype if isinstance(stored, Integers) else np.float32)
    np.testing.assert_array_equal(found, values)


@FUZZ
@given(data=st.data(), legacy=st.booleans())
def test_views_are_those_of_numpy(tmp_path: Path, data: st.DataObject, legacy: bool) -> None:
    """Offsets, strides, transpositions and repeated rows."""
    numbers = np.arange(data.draw(st.integers(0, 40)), dtype=np.float32)
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=4)))
    strides = tuple(data.draw(st.integers(0, 9)) for _ in shape)
    offset = data.draw(st.integers(0, 9))
    view = View(Storage(numbers), offset, shape, strides)
    path = write(tmp_path, {"x": view}, legacy)
    places = np.full(shape, offset)
    for axis, stride in enumerate(strides):
        steps = np.arange(shape[axis]) * stride
        places = places + steps.reshape(-1, *[1] * (len(shape) - axis - 1))
    last = places.max() if places.size else offset - 1
    if last >= len(numbers) or offset > len(numbers):
        with pytest.raises(CheckpointError, match=r"a tensor .* at \d of a storage of \d+ numbers"):
            contents(path)
    elif places.size > 4 * len(numbers):
        with pytest.raises(CheckpointError, match="more than 4 times the"):
            contents(path)
    else:
        found = contents(path).tensors["x"].read()
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, numbers[places])


@form
def test_equal_views_are_one_tensor(legacy: bool, tmp_path: Path) -> None:
    storage = Storage(VALUES)
    tied = {name: View(storage, 0, (5, 7), (7, 1)) for name in ("a", "b")}
    tied["c"] = View(storage, 7, (4, 7), (7, 1))
    found = contents(write(tmp_path, tied, legacy)).tensors
    assert found["a"] is found["b"]
    np.testing.assert_array_equal(found["c"].read(), VALUES[1:])


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "module"])
def test_checkpoints_of_training(wrapper: str, tmp_path: Path) -> None:
    optimizer = {"state": {0: {"step": 1.0}}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.98)}]}
    told = Call(Named("collections", "Counter"), ({"a": 3},))
    value = {"epoch": 1, "optimizer": optimizer, "told": told, wrapper: {"a": VALUES}}
    np.testing.assert_array_equal(contents(write(tmp_path, value)).tensors["a"].read(), VALUES)


def test_a_tensor_with_attributes(tmp_path: Path) -> None:
    inner = (Storage(VALUES), 0, (5, 7), (7, 1), False, {})
    names = Named("torch._utils", "_rebuild_tensor_v2"), Named("torch.nn.parameter", "Parameter")
    call = Call(Named("torch._tensor", "_rebuild_from_type_v2"), (*names, inner, {"x": 1}))
    np.testing.assert_array_equal(
        contents(write(tmp_path, {"a": call})).tensors["a"].read(), VALUES
    )


def test_a_file_that_changes_while_it_is_in_use(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": VALUES})
    stored = contents(path).tensors["a"]
    os.utime(path, ns=(0, 0))
    with pytest.raises(CheckpointError, match="the file changed while it was in use"):
        stored.read()


@form
def test_reading_takes_the_memory_of_one_tensor(legacy: bool, tmp_path: Path) -> None:
    many = {f"t{i}": np.full((512, 1024), i, np.float32) for i in range(32)}
    path = write(tmp_path, many, legacy)
    tracemalloc.start()
    for name, stored in contents(path).tensors.items():
        assert stored.read()[0, 0] == int(name[1:])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (72 << 20 if legacy else 6 << 20)


PICKLE, STORAGES = writer.pickled({"a": VALUES})


def rebuilt(*arguments: Any, name: str = "_rebuild_tensor_v2") -> bytes:
    return writer.saved({"a": Call(Named("torch._utils", name), arguments)})


def described(*told: Any) -> bytes:
    """A file whose tensor has another description of its storage."""

    class Pickler(writer.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return told if isinstance(value, Storage) else None

    return written(Pickler, {"a": VALUES})


def written(kind: type[writer.Pickler], value: Any) -> bytes:
    out = io.BytesIO()
    kind(out, 2, False).dump(value)
    return writer.zip_of(out.getvalue(), STORAGES)


FLOATS, S = Named("torch", "FloatStorage"), Storage(VALUES)
HOOKS = (False, {})
ZIPPED = writer.zip_of(PICKLE, STORAGES)
OLDER = writer.saved({"a": VALUES}, legacy=True)
FAULTS: dict[str, tuple[bytes, str]] = {
    "no tensors": (writer.saved({"a": 1}), "it has no tensors by name"),
    "a list": (writer.saved([VALUES]), "it has no tensors by name"),
    "wrappers without an end": (
        writer.saved({"model": {"model": {"model": {"model": {}}}}}), "it has no tensors by name",
    ),
    "a module": (
        writer.saved({"a": Call(Named("models.transformer", "Model"), ())}),
        "it names models.transformer.Model, which is neither a tensor of a known type nor plain"
        " data, so it is not run and not read; load the file in a program that you trust, and save",
    ),
    "a quantised tensor": (rebuilt(S, name="_rebuild_qtensor"), "torch._utils._rebuild_qtensor"),
    "beyond the storage": (rebuilt(S, 1, (5, 7), (7, 1), *HOOKS), "[5, 7] at 1 of a storage of 35"),
    "before the storage": (rebuilt(S, -1, (5,), (1,), *HOOKS), "[5] at -1 of a storage of 35"),
    "a long stride": (rebuilt(S, 0, (2,), (2**31,), *HOOKS), "[2] at 0 of a storage of 35"),
    "a negative stride": (rebuilt(S, 6, (2,), (-1,), *HOOKS), "which are no sizes"),
    "strides of another rank": (rebuilt(S, 0, (2, 2), (1,), *HOOKS), "2 dimensions and 1 strides"),
    "many dimensions": (rebuilt(S, 0, (1,) * 9, (1,) * 9, *HOOKS), "more than 8"),
    "a shape of no array": (
        rebuilt(S, 0, (0, 2**32, 2**32), (1, 1, 1), *HOOKS), "no array has the shape",
    ),
    "a size of text": (rebuilt(S, 0, ("5",), (1,), *HOOKS), "which are no sizes"),
    "a storage that is none": (rebuilt([1], 0, (1,), (1,), *HOOKS), "a tensor of an unknown form"),
    "a conjugate": (
        rebuilt(S, 0, (5,), (1,), *HOOKS, {"conj": True}), "a tensor of an unknown form",
    ),
    "an expanded number": (rebuilt(S, 0, (999,), (0,), *HOOKS), "more than 4 times the 35 numbers"),
    "another storage": (described("module", FLOATS, "0", "cpu", 35), "no storage of numbers"),
    "an unknown type": (
        described("storage", Named("torch", "ComplexFloatStorage"), "0", "cpu", 35),
        "torch.ComplexFloatStorage, which",
    ),
    "a function as a type": (
        described("storage", Named("torch._utils", "_rebuild_parameter"), "0", "cpu", 35),
        "no storage of numbers of a known type",
    ),
    "a view of a storage": (
        described("storage", FLOATS, "0", "cpu", 35, ("1", 0, 3)), "no storage of numbers",
    ),
    "a storage of another length": (
        described("storage", FLOATS, "0", "cpu", 99), "its storage has 140 bytes, not 99 numbers",
    ),
    "a storage that is missing": (writer.zip_of(PICKLE), "the storage 0 is missing"),
    "a storage elsewhere": (described("storage", FLOATS, "../0", "cpu", 35), "../0 is missing"),
    "big endian": (writer.zip_of(PICKLE, STORAGES, byteorder=b"big"), "big endian"),
    "compressed": (
        writer.zipped({"data.pkl": PICKLE * 9, "data/0": b""}, zipfile.ZIP_DEFLATED),
        "it is compressed or encrypted, which PyTorch does not do",
    ),
    "half a zip": (ZIPPED[: len(ZIPPED) // 2], "damaged zip"),
    "half of the older form": (OLDER[:-4], "not 35 numbers at byte"),
    "more than the older form": (OLDER + b"x", "1 bytes after the last storage"),
    "another version": (OLDER.replace(b"M\xe9\x03", b"M\xea\x03", 1), "not of version 1001"),
    "a big machine": (
        writer.legacy_of(*writer.pickled({"a": VALUES}, legacy=True), little_endian=False),
        "its numbers are big endian",
    ),
    "other keys": (OLDER.replace(b"96256", b"96257", 1), "not those of its tensors"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told(fault: str, tmp_path: Path) -> None:
    content, message = FAULTS[fault]
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        contents(path)
    assert message in str(caught.value)


def patched(content: bytes, signature: bytes, at: int, layout: str, value: int) -> bytes:
    """Return a zip with a number changed in the last header that begins with the signature."""
    found = bytearray(content)
    struct.pack_into(layout, found, content.rindex(signature) + at, value)
    return bytes(found)


@pytest.mark.parametrize(
    ("at", "layout", "value"),
    [(20, "<I", 1 << 30), (24, "<I", 1 << 30), (42, "<I", 1 << 30), (42, "<I", 7), (8, "<H", 1)],
    ids=["compressed size", "size", "offset beyond the end", "offset of no member", "encrypted"],
)
def test_damage_of_the_list_of_members(at: int, layout: str, value: int, tmp_path: Path) -> None:
    members = {"byteorder": b"little", "data/0": VALUES.tobytes(), "data.pkl": PICKLE}
    path = tmp_path / "model.pt"
    path.write_bytes(patched(writer.zipped(members), b"PK\x01\x02", at, layout, value))
    with pytest.raises(CheckpointError):
        contents(path)


def test_other_files_have_no_outline(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    for content in (b"", b"PK", b"PK\x03\x04", b"\x80\x02", writer.zipped({"x": b""}), PICKLE):
        path.write_bytes(content)
        assert outline(path) == b""
    path.write_bytes(writer.zipped({"data.pkl": PICKLE, "constants.pkl": PICKLE}))
    assert outline(path) == b""
