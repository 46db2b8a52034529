"""Safetensors files: read when used, whole or refused, and never in a state that is another one."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import FUZZ
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from weights_import.errors import CheckpointError
from weights_import.sources.safetensors_file import STORED, Integers, contents
from weights_import.tensors import Stored

VALUES = np.random.default_rng(0).normal(0, 1, (5, 7)).astype(np.float32)
OTHER = np.arange(6, dtype=np.float32).reshape(2, 3)


def packed(entries: dict[str, Any], data: bytes) -> bytes:
    """Return a file with an unchecked header."""
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of two tensors."""
    found = tmp_path / "model.safetensors"
    save_file({"a": VALUES, "b": OTHER}, found, {"told": "this"})
    return found


def test_tensors_are_what_was_saved(path: Path) -> None:
    found = contents(path)
    assert found.metadata == {"told": "this"}
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.tensors.keys() == {"a", "b"}
    for name, values in (("a", VALUES), ("b", OTHER)):
        stored = found.tensors[name]
        assert (stored.name, stored.shape, type(stored)) == (name, values.shape, Stored)
        np.testing.assert_array_equal(stored.read(), values)


def test_every_read_is_an_array_of_its_own(path: Path) -> None:
    stored = contents(path).tensors["a"]
    stored.read()[:] = 0
    np.testing.assert_array_equal(stored.read(), VALUES)


@FUZZ
@given(data=st.data(), dtype=st.sampled_from(sorted(STORED)))
def test_every_type_of_number(tmp_path: Path, data: st.DataObject, dtype: str) -> None:
    """Floats become float32.  Integers, complex numbers and truth values stay what they are."""
    shape = data.draw(st.lists(st.integers(0, 3), max_size=4))
    kind, count = np.dtype(STORED[dtype]), int(np.prod(shape))
    raw = data.draw(st.binary(min_size=count * kind.itemsize, max_size=count * kind.itemsize))
    if dtype == "BOOL":
        raw = bytes(byte % 2 for byte in raw)
    file = tmp_path / "x.safetensors"
    file.write_bytes(packed({"x": entry(dtype, shape, 0, len(raw))}, raw))
    stored = contents(file).tensors["x"]
    values = np.frombuffer(raw, kind).reshape(shape)
    found = stored.read()
    assert found.shape == stored.shape == tuple(shape)
    assert stored.bfloat16 == (dtype == "BF16")
    assert isinstance(stored, Integers) == (dtype not in ("F64", "F32", "F16", "BF16"))
    if dtype == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    elif not isinstance(stored, Integers):
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


CHANGES: dict[str, Callable[[Path], object]] = {
    "another time": lambda path: os.utime(path, ns=(0, 0)),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "shorter": lambda path: os.truncate(path, path.stat().st_size - 1),
    "empty": lambda path: os.truncate(path, 0),
    "gone": lambda path: path.unlink(),
    "another file": lambda path: (path.rename(f"{path}.old"), save_file({"a": VALUES}, path)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_in_use(change: str, path: Path) -> None:
    stored = contents(path).tensors["b"]
    stored.read()
    CHANGES[change](path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: the file changed while it was"):
        stored.read()


def test_reading_takes_the_memory_of_one_tensor(tmp_path: Path) -> None:
    file, many = tmp_path / "large.safetensors", 16
    save_file({f"t{i}": np.full((256, 1024), i, np.float32) for i in range(many)}, file)
    tracemalloc.start()
    for name, stored in contents(file).tensors.items():
        assert stored.read()[0, 0] == int(name[1:])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20  # of 16 MiB


BYTES = bytes(8)
FAULTS: dict[str, tuple[bytes, str]] = {
    "too short": (b"1234567", "7 bytes are no safetensors file"),
    "a header beyond the end": (struct.pack("<Q", 99) + b"{}", "header of 99 bytes in a file"),
    "a huge header": (struct.pack("<Q", 1 << 60) + b"{}", "header of 1152921504606846976 bytes"),
    "no JSON": (struct.pack("<Q", 2) + b"{{", "header: "),
    "a list": (struct.pack("<Q", 2) + b"[]", "header: "),
    "an unknown type": (packed({"x": entry("F4", [2], 0, 8)}, BYTES), "x: type F4"),
    "a gap": (packed({"x": entry("F32", [1], 4, 8)}, BYTES), "x: bytes 4 to 8 of 8, after 0"),
    "an overlap": (
        packed({"x": entry("F32", [2], 0, 8), "y": entry("F32", [1], 4, 8)}, BYTES),
        "y: bytes 4 to 8 of 8, after 8",
    ),
    "too long": (packed({"x": entry("F32", [3], 0, 12)}, BYTES), "x: bytes 0 to 12 of 8"),
    "another length": (packed({"x": entry("F32", [3], 0, 8)}, BYTES), r"x: bytes 0 to 8 .*\[3\]"),
    "backwards": (packed({"x": entry("F32", [0], 8, 0)}, BYTES), "x: bytes 8 to 0"),
    "bytes that are left": (packed({"x": entry("F32", [1], 0, 4)}, BYTES), "4 bytes after the la"),
    "a negative size": (packed({"x": entry("F32", [-1], 0, 8)}, BYTES), "header: "),
    "many dimensions": (packed({"x": entry("F32", [1] * 9, 0, 4)}, BYTES), "header: "),
    "another key": (packed({"x": entry("F32", [2], 0, 8) | {"y": 1}}, BYTES), "header: "),
    "a name twice": (
        packed({"x": entry("F32", [2], 0, 8), "y": 1}, BYTES).replace(b'"y"', b'"x"'),
        "header: ",
    ),
    "a shape of no array": (
        packed({"x": entry("F32", [0, 1 << 32, 1 << 32], 0, 0)}, b""),
        "x: no array has the shape",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told(fault: str, tmp_path: Path) -> None:
    content, message = FAULTS[fault]
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        contents(file)


def test_tensors_may_stand_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    entries = {"late": entry("F32", [1], 4, 8), "early": entry("I32", [1], 0, 4)}
    file.write_bytes(packed(entries, struct.pack("<if", 7, 2.5)))
    found = contents(file).tensors
    assert {name: stored.read().tolist() for name, stored in found.items()} == {
        "early": [7], "late": [2.5],
    }  # fmt: skip
