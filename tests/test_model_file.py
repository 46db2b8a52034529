"""Model files: loading inverts saving.  Every fault gives an error, in bounded time and memory."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import stat
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from int8ref.files import container
from int8ref.files.model_file import ModelFileError, load, model_hash, save, serialize
from int8ref.program.program import Program
from int8ref.spec import arithmetic
from int8ref.spec.scope import ProgramError
from tests.helpers.model_bytes import (
    Header,
    load_bytes,
    parts,
    read_plainly,
    refused,
    write_plainly,
)
from tests.helpers.models import build_tiny_model


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    model = build_tiny_model(1)
    save(tmp_path / "model", model)
    found = load(tmp_path / "model")
    for field in ("name", "languages", "program", "source", "target", "provenance"):
        assert getattr(found, field) == getattr(model, field)
    assert found.tensors.keys() == model.tensors.keys()
    for name, tensor in model.tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found.tensors[name], tensor)


def test_tensors_are_aligned_views_that_nobody_can_write(tiny_file: Path) -> None:
    for tensor in load(tiny_file).tensors.values():
        assert not tensor.flags.owndata
        assert not tensor.flags.writeable
        assert tensor.flags.aligned


def test_other_readers_read_the_file(tiny_file: Path) -> None:
    document, plain = read_plainly(tiny_file.read_bytes())
    package = safetensors.numpy.load_file(tiny_file)
    model = load(tiny_file)
    assert plain.keys() == package.keys() == {
        *model.tensors, "tokenizer.source", container.DIGEST,
    }  # fmt: skip
    for name, tensor in model.tensors.items():
        np.testing.assert_array_equal(plain[name], package[name])
        if name in document["deflated"]:
            assert zlib.decompress(plain[name].tobytes()) == tensor.tobytes()
            shape = document["deflated"][name]["shape"]
            assert shape == list(tensor.shape)
        else:
            np.testing.assert_array_equal(plain[name], tensor)
    assert 0 < len(document["deflated"]) < len(model.tensors)
    assert lzma.decompress(plain["tokenizer.source"].tobytes()) == model.source.model
    assert document["arithmetic"] == arithmetic.VERSION
    assert msgspec.convert(document["program"], Program) == model.program


def test_same_model_same_bytes() -> None:
    model = build_tiny_model(1)
    shuffled = replace(
        model,
        tensors=dict(reversed(model.tensors.items())),
        provenance=dict(reversed(model.provenance.items())),
    )
    assert serialize(model) == serialize(shuffled)
    assert serialize(model) != serialize(build_tiny_model(2))


def test_hash_is_that_of_the_file(tiny_file: Path) -> None:
    expected = hashlib.sha256(tiny_file.read_bytes()).hexdigest()
    assert model_hash(tiny_file) == expected
    assert model_hash(load(tiny_file)) == expected


def test_two_tokenizers(tmp_path: Path) -> None:
    model = build_tiny_model(1)
    model = replace(model, target=replace(model.target, model=model.target.model + b"\x78\x01"))
    save(tmp_path / "model", model)
    found = load(tmp_path / "model")
    assert (found.source, found.target) == (model.source, model.target)


def test_permissions_follow_the_umask_and_nothing_is_left_behind(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save(tmp_path / "model", build_tiny_model(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["model"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(OSError, match="directory"):
        save(tmp_path / "model", build_tiny_model(1))
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("name", ["tokenizer.source", "tokenizer.target", container.DIGEST])
def test_reserved_names(name: str) -> None:
    model = build_tiny_model(1)
    text = json.dumps(msgspec.to_builtins(model.program)).replace('"positions"', f'"{name}"')
    program = msgspec.json.decode(text.replace(f'"{name}": "', '"positions": "'), type=Program)
    tensors = dict(model.tensors)
    tensors[name] = tensors.pop("positions")
    with pytest.raises(ModelFileError, match="reserved"):
        serialize(replace(model, program=program, tensors=tensors))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "a b"}, r"\.name"),
        ({"name": ""}, r"\.name"),
        ({"name": "a" * 65}, r"\.name"),
        ({"name": "../../evil"}, r"\.name"),
        ({"languages": ("en", "p t")}, r"\.languages"),
        ({"languages": ("en",)}, r"\.languages"),
        ({"provenance": {"licence": 1}}, r"\.provenance"),
        ({"provenance": {"file": "m\udcff.bin"}}, r"m\\udcff\.bin"),
    ],
)
def test_a_header_that_no_reader_takes_is_not_written(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    with pytest.raises(ModelFileError, match=why):
        save(tmp_path / "model", replace(build_tiny_model(1), **change))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a", "A.b_c+d-9", "a" * 64])
def test_legal_names(tmp_path: Path, name: str) -> None:
    save(tmp_path / "model", replace(build_tiny_model(1), name=name))
    assert load(tmp_path / "model").name == name


def test_unsound_program_is_not_saved() -> None:
    model = build_tiny_model(1)
    with pytest.raises(ProgramError, match="positions"):
        serialize(replace(model, tensors={**model.tensors, "positions": np.zeros(3, np.int8)}))


# Faults of files


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("missing", "No such file"),
        ("folder", "not a regular file"),
        ("fifo", "not a regular file"),
        ("device", "not a regular file"),
        ("empty", "0 bytes"),
        ("dangling", "No such file"),
        ("loop", "symbolic links"),
        ("huge", "bytes, not 1 to"),
    ],
)
def test_not_a_file(tmp_path: Path, kind: str, why: str) -> None:
    path = tmp_path / "file"
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path = Path("/dev/zero")
        case "empty":
            path.touch()
        case "dangling":
            path.symlink_to(tmp_path / "nowhere")
        case "loop":
            path.symlink_to(path)
        case "huge":
            with path.open("wb") as file:
                file.truncate(container.MAX_FILE_BYTES + 1)
    for function in (load, model_hash):
        with pytest.raises(ModelFileError, match=why) as caught:
            function(path)
        assert str(path) in str(caught.value)


def test_a_link_to_a_model_is_a_model(tmp_path: Path, tiny_file: Path) -> None:
    (tmp_path / "link").symlink_to(tiny_file)
    assert load(tmp_path / "link").name == "tiny"


def test_every_truncation_and_extension_is_refused(tmp_path: Path, tiny_file: Path) -> None:
    content = tiny_file.read_bytes()
    for length in {*range(1, 60), *range(60, len(content), 997), len(content) - 1}:
        refused(tmp_path, content[:length])
    refused(tmp_path, content + b"\0", "bytes of tensors where the header tells of")


@given(st.data())
def test_every_flipped_bit_is_found(tmp_path_factory: Any, tiny_file: Path, data: Any) -> None:
    content = bytearray(tiny_file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    refused(tmp_path_factory.getbasetemp(), bytes(content))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(tmp_path_factory: Any, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    if content:
        refused(folder, content)
    refused(folder, write_plainly(content, b"", 0))


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(st.data())
def test_wrong_headers_are_refused(tmp_path_factory: Any, tiny_file: Path, data: Any) -> None:
    """Replaces any part of the header, or of the document in it, by another value."""
    header, body = parts(tiny_file.read_bytes())
    document = json.loads(header["__metadata__"]["int8ref"])
    inside = data.draw(st.booleans())
    place: Any = document if inside else header
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    old, place[key] = place[key], data.draw(Json)
    if inside:
        header["__metadata__"]["int8ref"] = json.dumps(document)
    try:
        load_bytes(tmp_path_factory.getbasetemp(), write_plainly(header, body))
    except ModelFileError:
        return
    assert type(place[key]) is type(old), "accepted a value of another type"


# Headers with one fault each


def entry(dtype: str, shape: list[Any], begin: int, end: int, **more: Any) -> Header:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def around(**entries: Header) -> Header:
    end = max((e["data_offsets"][1] for e in entries.values()), default=0)
    digest = entry("U8", [32], end, end + 32)
    return {"__metadata__": {"int8ref": "{}"}, **entries, container.DIGEST: digest}


NESTED = "[" * 100_000


@pytest.mark.parametrize(
    ("header", "body", "why"),
    [
        (around(a=entry("I8", [4], 0, 4), b=entry("I8", [4], 2, 6)), 6, "follow 4"),
        (around(a=entry("I8", [4], 0, 4), b=entry("I8", [4], 6, 10)), 10, "follow 4"),
        (around(a=entry("I8", [4], 1, 5)), 5, "follow 0"),
        (around(a=entry("I8", [5], 0, 4)), 4, "5 bytes were to follow"),
        (around(a=entry("I8", [4], 4, 0)), 4, "bytes 4 to 0, but 4 bytes were to follow"),
        (around(a=entry("I8", [4], -4, 0)), 4, "follow 0"),
        (around(a=entry("I8", [2**31], 0, 4)), 4, "shape"),
        (around(a=entry("I32", [2**31 - 1] * 4, 0, 4)), 4, "were to follow"),
        (around(a=entry("I8", [1, 1, 1, 1, 1], 0, 1)), 1, "length <= 4"),
        (around(a=entry("I8", [0], 0, 0)), 0, ">= 1"),
        (around(a=entry("I8", [-1], 0, 1)), 1, ">= 1"),
        (around(a=entry("I8", [1.0], 0, 1)), 1, "Expected `int`"),
        (around(a=entry("I8", [True], 0, 1)), 1, "Expected `int`"),
        (around(a=entry("F32", [1], 0, 4)), 4, "Invalid enum value 'F32'"),
        (around(a=entry("I8", [1], 0, 1, note="x")), 1, "unknown field `note`"),
        (around(a=entry("I8", [1], 0, 1), b=entry("I32", [1], 1, 5)), 5, "not aligned"),
        (around(), 9, "9 bytes of tensors|41 bytes of tensors"),
        ({"__metadata__": {"int8ref": "{}"}, "a": entry("I8", [32], 0, 32)}, 0, "last tensor"),
        ({"a": entry("I8", [1], 0, 1)}, 1, "metadata"),
        (around() | {"__metadata__": {"int8ref": "{}", "more": ""}}, 0, "metadata"),
        (around() | {"__metadata__": {"int8ref": 1}}, 0, "metadata"),
        (around() | {"__metadata__": {"int8ref": "[]"}}, 0, "Expected `object`"),
        (around() | {"__metadata__": {"int8ref": '{"a":1,"a":2}'}}, 0, "duplicate key 'a'"),
        (around() | {"__metadata__": {"int8ref": '{"a":NaN}'}}, 0, "NaN is not a number"),
        (around() | {"__metadata__": {"int8ref": NESTED}}, 0, "recursion"),
        ('{"a":1,"a":2}', 0, "duplicate key 'a'"),
        ('{"a":Infinity}', 0, "Infinity is not a number"),
        ('{"a":' + "9" * 5000 + "}", 0, "digits"),
        (NESTED, 0, "recursion"),
        ("[]", 0, "not a JSON object"),
        (b'{"\xff":1}', 0, "utf-8"),
        (b"\xef\xbb\xbf{}", 0, "BOM"),
    ],
)  # fmt: skip
def test_hostile_header(tmp_path: Path, header: Any, body: int, why: str) -> None:
    refused(tmp_path, write_plainly(header, b"\0" * body), why)


def test_header_length_is_bounded(tmp_path: Path) -> None:
    for length, why in ((2**63, "complete"), (1, "not 2 to"), (2**20 + 1, "not 2 to")):
        refused(tmp_path, struct.pack("<Q", length) + b" " * (2**20 + 9), why)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"arithmetic": 2}, "arithmetic version 2, but this int8ref has arithmetic version 3"),
        ({"format": 99, "extra": 1}, "format version 99"),
        ({"arithmetic": "1"}, "Expected `int`"),
        ({"extra": 1}, "unknown field `extra`"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"languages": ["en"]}, "languages"),
        ({"provenance": {"licence": 1}}, "provenance"),
        ({"source": {"kind": "pickle", "tensor": "tokenizer.source"}}, "pickle"),
        ({"source": {"kind": "sentencepiece", "tensor": "positions"}}, "positions"),
        ({"target": {"kind": "sentencepiece", "tensor": "tokenizer.target"}}, "is missing"),
        ({"program": {}}, "program"),
    ],
)
def test_wrong_document(tmp_path: Path, tiny_file: Path, change: Header, why: str) -> None:
    header, body = parts(tiny_file.read_bytes())
    document = json.loads(header["__metadata__"]["int8ref"]) | change
    header["__metadata__"]["int8ref"] = json.dumps(document)
    refused(tmp_path, write_plainly(header, body), why)


@pytest.mark.parametrize("tensor", ["tokenizer.target", "stowaway"])
def test_tensors_that_nothing_names(tmp_path: Path, tiny_file: Path, tensor: str) -> None:
    header, body = parts(tiny_file.read_bytes())
    size = len(body)
    header[tensor] = entry("U8", [1], size, size + 1)
    header[container.DIGEST] = entry("U8", [32], size + 1, size + 33)
    refused(tmp_path, write_plainly(header, body + b"\0"), f"unused tensors: {tensor}")
