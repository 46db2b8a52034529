"""zlib and xz streams in model files: exact results, and bounded memory for any content."""

from __future__ import annotations

import json
import lzma
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.files import container
from int8ref.files.model_file import ModelFileError, load, save, serialize
from tests.helpers.model_bytes import read_plainly, refused

DEFLATED = "encoder.qkv.bias"
"""A tensor of the tiny model that its file stores as a zlib stream: int32 [48]."""
SIZE = 4 * 48
MIB = 1 << 20


def repacked(file: Path, **changes: Any) -> bytes:
    """Return a valid container with other tensors, or with changed `deflated` entries."""
    document, tensors = read_plainly(file.read_bytes())
    tensors.pop(container.DIGEST)
    document["deflated"] |= changes.pop("deflated", {})
    return container.pack({**tensors, **changes}, "int8ref", json.dumps(document))


def as_bytes(data: bytes) -> container.Array:
    return np.frombuffer(data, np.uint8)


def preset_dictionary(data: bytes) -> bytes:
    packer = zlib.compressobj(zdict=bytes(32))
    return packer.compress(data) + packer.flush()


# Deflated tensors


@given(
    dtype=st.sampled_from(["I8", "I16", "I32", "U8"]),
    shape=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    distinct=st.integers(1, 256),
    seed=st.integers(0, 2**32 - 1),
    compact=st.booleans(),
)
def test_inflated_is_what_was_deflated(
    dtype: container.Code, shape: list[int], distinct: int, seed: int, compact: bool
) -> None:
    kind = container.DTYPES[dtype]
    limits = np.iinfo(kind)
    random = np.random.default_rng(seed)
    some = random.integers(limits.min, limits.max, distinct, endpoint=True)
    tensor = random.choice(some, shape).astype(kind)
    packed = container.deflate(tensor, compact)
    most = tensor.nbytes - 64 if compact else tensor.nbytes * 7 // 8
    if packed is None:
        assert len(zlib.compress(tensor.tobytes(), 9)) > most
        return
    assert packed.nbytes <= most
    found = container.inflate("t", packed, dtype, shape)
    assert found.dtype == tensor.dtype
    np.testing.assert_array_equal(found, tensor, strict=True)


def test_what_saves_an_eighth_is_deflated_and_large_tensors_never() -> None:
    assert container.deflate(np.zeros(MIB, np.int8), False) is not None
    assert container.deflate(np.zeros(MIB + 1, np.int8), False) is None
    assert container.deflate(np.arange(64, dtype=np.int8), False) is None


def test_compact_deflates_whatever_gets_smaller() -> None:
    assert container.deflate(np.zeros(MIB + 1, np.int8), True) is not None
    assert container.deflate(np.arange(64, dtype=np.int8), True) is None
    weights = np.random.default_rng(3).normal(0, 32, MIB).round().astype(np.int8)
    assert container.deflate(weights, False) is None
    packed = container.deflate(weights, True)
    assert packed is not None
    # The entropy of the normal distribution is log2(32 sqrt(2 pi e)) = 7.05 bits.
    assert 7.05 / 8 < packed.nbytes / MIB < 7.2 / 8
    np.testing.assert_array_equal(container.inflate("t", packed, "I8", [MIB]), weights)


def test_a_compact_file_holds_the_same_model(tmp_path: Path, tiny_file: Path) -> None:
    plain = load(tiny_file)
    save(tmp_path / "compact.safetensors", plain, compact=True)
    compact = load(tmp_path / "compact.safetensors")
    assert serialize(compact) == tiny_file.read_bytes()
    assert serialize(compact, compact=True) == (tmp_path / "compact.safetensors").read_bytes()


def test_the_file_says_what_is_deflated(tiny_file: Path) -> None:
    document, plain = read_plainly(tiny_file.read_bytes())
    assert document["deflated"][DEFLATED] == {"dtype": "I32", "shape": [48]}
    assert plain[DEFLATED].dtype == np.uint8
    tensor = load(tiny_file).tensors[DEFLATED]
    assert (tensor.dtype, tensor.shape, tensor.nbytes) == (np.int32, (48,), SIZE)
    assert tensor.flags.aligned
    assert not tensor.flags.writeable


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"this is no zlib stream", id="not zlib"),
        pytest.param(zlib.compress(bytes(SIZE))[:-1], id="truncated checksum"),
        pytest.param(zlib.compress(bytes(SIZE))[:4], id="truncated data"),
        pytest.param(zlib.compress(bytes(SIZE))[:-1] + b"!", id="wrong checksum"),
        pytest.param(zlib.compress(bytes(SIZE)) + b"!", id="followed by a byte"),
        pytest.param(zlib.compress(bytes(SIZE)) * 2, id="two streams"),
        pytest.param(zlib.compress(bytes(SIZE // 2)) * 2, id="two halves"),
        pytest.param(zlib.compress(bytes(SIZE - 1)), id="a byte too few"),
        pytest.param(zlib.compress(bytes(SIZE + 1)), id="a byte too many"),
        pytest.param(zlib.compress(b""), id="nothing"),
        pytest.param(preset_dictionary(bytes(SIZE)), id="needs a dictionary"),
        pytest.param(zlib.compress(bytes(SIZE), wbits=-15), id="raw deflate"),
        pytest.param(zlib.compress(bytes(SIZE), wbits=31), id="gzip"),
    ],
)
def test_damaged_stream(tmp_path: Path, tiny_file: Path, stream: bytes) -> None:
    with pytest.raises(ModelFileError, match="tensor 't': "):
        container.inflate("t", as_bytes(stream), "I32", [48])
    if stream:
        content = repacked(tiny_file, **{DEFLATED: as_bytes(stream)})
        refused(tmp_path, content, f"tensor {DEFLATED!r}: ")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"dtype": "I32", "shape": [47]}, "not exactly one zlib stream of 188 bytes"),
        ({"dtype": "I32", "shape": [49]}, "not exactly one zlib stream of 196 bytes"),
        ({"dtype": "I16", "shape": [48]}, "not exactly one zlib stream of 96 bytes"),
        ({"dtype": "I8", "shape": [192]}, r"is int8\[192\], not int16 int32"),
        ({"dtype": "I32", "shape": [6, 8]}, r"int32\[6, 8\], wanted \[48\]"),
        ({"dtype": "I8", "shape": [MIB + 1]}, f"not exactly one zlib stream of {MIB + 1} bytes"),
        ({"dtype": "I32", "shape": [17, MIB]}, "bytes more than a file may hold"),
        ({"dtype": "I32", "shape": [2**31 - 1] * 4}, "bytes more than a file may hold"),
        ({"dtype": "I32", "shape": [2**31]}, "shape"),
        ({"dtype": "I32", "shape": [48, 1, 1, 1, 1]}, "length <= 4"),
        ({"dtype": "I32", "shape": [0]}, ">= 1"),
        ({"dtype": "I32", "shape": [-48]}, ">= 1"),
        ({"dtype": "F32", "shape": [48]}, "Invalid enum value 'F32'"),
        ({"dtype": "I32"}, "missing required field `shape`"),
        ({"dtype": "I32", "shape": [48], "level": 9}, "unknown field `level`"),
    ],
)
def test_wrong_declaration(
    tmp_path: Path, tiny_file: Path, entry: dict[str, Any], why: str
) -> None:
    refused(tmp_path, repacked(tiny_file, deflated={DEFLATED: entry}), why)


@pytest.mark.parametrize("name", ["nowhere", "tokenizer.source", container.DIGEST])
def test_a_deflated_tensor_that_is_missing(tmp_path: Path, tiny_file: Path, name: str) -> None:
    content = repacked(tiny_file, deflated={name: {"dtype": "I8", "shape": [1]}})
    refused(tmp_path, content, f"the deflated tensor '{name}' is missing")


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_a_stream_is_of_bytes(tmp_path: Path, tiny_file: Path, dtype: str) -> None:
    content = repacked(tiny_file, **{DEFLATED: np.zeros(48, dtype)})
    refused(tmp_path, content, f"tensor {DEFLATED!r}: {dtype} is no zlib stream")


def test_a_stream_without_a_declaration_is_no_tensor(tmp_path: Path, tiny_file: Path) -> None:
    plain = np.zeros(48, np.uint8)
    document, tensors = read_plainly(tiny_file.read_bytes())
    tensors.pop(container.DIGEST)
    del document["deflated"][DEFLATED]
    content = container.pack({**tensors, DEFLATED: plain}, "int8ref", json.dumps(document))
    refused(tmp_path, content, r"is uint8\[48\], not int16 int32")


# Bombs


def peak_bytes(work: Callable[[], None]) -> int:
    """Return the peak of Python's memory during `work`, without the memory before `work`."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_stream_is_unpacked_no_further_than_its_size() -> None:
    stream = as_bytes(zlib.compress(bytes(32 * MIB)))

    def inflate() -> None:
        with pytest.raises(ModelFileError, match="not exactly one zlib stream of 192 bytes"):
            container.inflate("t", stream, "I32", [48])

    assert peak_bytes(inflate) < MIB


def xz(size: int, **options: Any) -> bytes:
    return lzma.compress(bytes(size), **options)


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (b"this is not xz", "format not supported"),
        (xz(container.MAX_UNPACKED_BYTES + 1), "bytes unpacked"),
        (xz(9, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]), "[Mm]emory"),
        (xz(9)[:-1], "not exactly one xz stream"),
        (xz(9) + xz(9), "not exactly one xz stream"),
        (xz(0), "not exactly one xz stream"),
    ],
)
def test_hostile_tokenizer(tmp_path: Path, tiny_file: Path, packed: bytes, why: str) -> None:
    content = repacked(tiny_file, **{"tokenizer.source": as_bytes(packed)})
    peak = peak_bytes(lambda: refused(tmp_path, content, why))
    assert peak < 3 * container.MAX_UNPACKED_BYTES


def test_many_small_bombs(tmp_path: Path, tiny_file: Path) -> None:
    """Each stream is within its limit, but their sum is not."""
    stream = as_bytes(zlib.compress(bytes(MIB)))
    names = [f"z{i}" for i in range(200)]
    deflated = {name: {"dtype": "I8", "shape": [MIB]} for name in names}
    content = repacked(tiny_file, deflated=deflated, **dict.fromkeys(names, stream))
    assert peak_bytes(lambda: refused(tmp_path, content, "more than a file may hold")) < 32 * MIB
