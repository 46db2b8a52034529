"""Golden vectors: complete, true to the definitions, and equal bytes from both backends."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from int8ref.engines.backends import BACKENDS, Backend, load_engine
from int8ref.errors import UserError
from int8ref.files import shortlist
from int8ref.files.model_file import Model, model_hash, save
from int8ref.golden.archive import INDEX, archive
from int8ref.golden.vectors import Vectors
from int8ref.program.sizes import vocabulary_size
from int8ref.reference import operation
from int8ref.spec import arithmetic
from int8ref.translation import worker
from int8ref.translation.recording import record
from tests.helpers.engines import requests
from tests.helpers.machine_text import machine_text
from tests.helpers.models import SENTENCES, build_tiny_model
from tests.helpers.processes import Command, run

MODELS = {
    "marian": build_tiny_model(2),
    "integer": build_tiny_model(6, "translation"),
    "decoder": build_tiny_model(4, "decoder"),
    "rotary": build_tiny_model(1, "rotary"),
}
TEXT = SENTENCES[0]


@cache
def recorded(kind: str) -> Vectors:
    return record(MODELS[kind], TEXT)


def opened(content: bytes) -> tuple[dict[str, Any], Any]:
    """Return (index, arrays), read with NumPy alone."""
    arrays = np.load(io.BytesIO(content), allow_pickle=False)
    return json.loads(arrays[INDEX]), arrays


@pytest.mark.parametrize("kind", MODELS)
def test_every_record_is_true(kind: str) -> None:
    """Computes each recorded operation again.  The archive has every operation of every step."""
    model, found = MODELS[kind], recorded(kind)
    index, arrays = opened(archive(found, model.name, "0" * 64))
    assert (index["arithmetic"], index["model"]) == (arithmetic.VERSION, model.name)
    used = set()
    for told in index["records"]:
        operands = {field: arrays[name] for field, name in told["operands"].items()}
        results = operation(told["op"])(**operands, **told["constants"])
        results = results if isinstance(results, tuple) else (results,)
        for name, result in zip(told["results"].values(), results, strict=False):
            assert arrays[name].dtype == result.dtype
            np.testing.assert_array_equal(arrays[name], result)
        used |= {*told["operands"].values(), *told["results"].values()}
    assert {f"{name}.npy" for name in used} | {INDEX} == set(zipfile_names(found))
    (sentence,) = index["sentences"]
    steps = len(sentence["target"])
    expected = [i.op for i in model.program.encoder]
    expected += [*(i.op for i in model.program.decoder), "argmax", "log_softmax"] * steps
    assert [told["op"] for told in index["records"]] == expected
    assert [told["step"] for told in index["records"]][-1] == steps - 1


def zipfile_names(found: Vectors) -> list[str]:
    opened = zipfile.ZipFile(io.BytesIO(archive(found, "", "")))
    assert {member.create_system for member in opened.infolist()} == {3}
    return opened.namelist()


@pytest.mark.parametrize("kind", MODELS)
def test_the_backends_give_the_same_bytes(kind: str) -> None:
    machine_text()
    compiled = record(MODELS[kind], TEXT, backend="compiled")
    assert archive(compiled, "m", "") == archive(recorded(kind), "m", "")


@pytest.mark.parametrize("kind", ["marian", "integer"])
def test_the_target_is_the_greedy_translation(kind: str) -> None:
    model, found = MODELS[kind], recorded(kind)
    engine = load_engine(model.program, model.tensors, backend="reference")
    (sentence,) = found.sentences
    (ids,) = engine.greedy(requests([sentence.source], [len(sentence.target)]))
    assert sentence.target in ([*ids, model.program.eos], ids)
    assert sentence.source[-1] == model.program.eos


def test_a_decoder_alone_reads_the_text() -> None:
    """The input of a step is the token before: first the start token, and never the last token."""
    model, found = MODELS["decoder"], recorded("decoder")
    (sentence,) = found.sentences
    assert sentence.source == []
    assert sentence.target[-1] == model.program.eos
    given = [found.arrays[f"decoder/{step}/target.ids"][0] for step in range(len(sentence.target))]
    assert given == [model.program.start, *sentence.target[:-1]]


def test_some_operations_and_steps() -> None:
    found = record(MODELS["integer"], TEXT, steps=2, ops=["append", "layer_norm_l1"])
    every = recorded("integer")
    assert {told["op"] for told in found.records} == {"append", "layer_norm_l1"}
    assert {told["step"] for told in found.records} == {None, 0, 1}
    assert found.sentences[0].target == every.sentences[0].target[:2]
    for told in found.records:
        assert told in every.records
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(array, every.arrays[name])


@pytest.mark.parametrize(
    ("text", "ops", "message"),
    [
        (TEXT, ["conv"], "no operation 'conv': there are append, argmax"),
        (TEXT, ["ssru"], "has no ssru: it has append"),
        (" ", None, "the text has no tokens"),
        (TEXT * 99, None, r"the text has \d+ tokens: the model takes \d+"),
    ],
)
@pytest.mark.parametrize("kind", ["integer", "decoder"])
def test_what_cannot_be_recorded(kind: str, text: str, ops: list[str] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        record(MODELS[kind], text, ops=ops)


def renamed(model: Model, old: str, new: str) -> Model:
    """Return the model with another name for a tensor."""
    program = msgspec.json.encode(model.program).replace(
        json.dumps(old).encode(), json.dumps(new).encode()
    )
    tensors = {new if name == old else name: array for name, array in model.tensors.items()}
    return replace(
        model, program=msgspec.json.decode(program, type=type(model.program)), tensors=tensors
    )


@pytest.mark.parametrize("name", ["../../evil", "a/../../evil", "..\\evil"])
def test_no_name_leads_out_of_a_folder(name: str) -> None:
    model = renamed(MODELS["integer"], "embeddings", name)
    with pytest.raises(UserError, match="a tensor or value of the name"):
        archive(record(model, TEXT, steps=1), "m", "")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    save(tmp_path / "model.safetensors", MODELS["integer"])
    return [sys.executable, "-m", "int8ref.vectors", "-m", tmp_path / "model.safetensors"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_command(command: Command, tmp_path: Path, backend: Backend) -> None:
    machine_text()
    output = tmp_path / "vectors.npz"
    status, out, told = run([*command, "-o", output, "--backend", backend, TEXT])
    assert (status, out) == (0, b"")
    assert told.startswith(f"int8ref: {len(recorded('integer').records)} operations, ")
    digest = model_hash(tmp_path / "model.safetensors")
    assert output.read_bytes() == archive(recorded("integer"), "tiny-translation", digest)


def test_the_archive_on_stdout(command: Command, tmp_path: Path) -> None:
    """`-o -` means stdout, as for the other commands."""
    status, out, told = run([*command, "-o", "-", TEXT])
    digest = model_hash(tmp_path / "model.safetensors")
    assert (status, out) == (0, archive(recorded("integer"), "tiny-translation", digest))
    assert told.startswith("int8ref: ")
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_the_shortlist_is_not_written_over(command: Command, tmp_path: Path) -> None:
    lists = shortlist.beside(tmp_path / "model.safetensors")
    model = MODELS["integer"]
    sizes = worker.source_size(model), vocabulary_size(model.program, model.tensors)
    tokens = np.arange(2, 2 + sizes[0], dtype=np.int32) % sizes[1]
    offsets = np.arange(sizes[0] + 1, dtype=np.int32)
    digest = shortlist.tokenizers_hash(model.source.model, model.target.model)
    shortlist.save(lists, shortlist.Shortlist(2, True, digest, offsets, tokens, {}))
    before = lists.read_bytes()
    status, _, told = run([*command, "-o", lists, TEXT])
    assert (status, told) == (1, f"int8ref: error: {lists}: the output is the shortlist file\n")
    translate: Command = [command[0], "-m", "int8ref.translate", *command[3:], "-o", lists, TEXT]
    status, _, told = run([*translate, "--backend", "reference"])
    assert (status, told) == (1, f"int8ref: error: {lists}: the output is the shortlist file\n")
    assert lists.read_bytes() == before


def test_command_errors(command: Command, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    before = model.read_bytes()
    absent = tmp_path / "absent" / "vectors.npz"
    for output, text, message in (
        (absent, TEXT, f"{absent}: No such file"),
        (model, TEXT, "the output is the model file"),
        (tmp_path / "vectors.npz", "", "the text has no tokens"),
        (tmp_path / "vectors.npz", "a\nb", "the text has 2 lines"),
        (tmp_path / "vectors.npz", b"a\xff", "argument 1 is not UTF-8"),
        (tmp_path, TEXT, f"{tmp_path}: Is a directory"),
    ):
        status, out, told = run([*command, "-o", output, text])
        assert (status, out) == (1, b"")
        assert told.startswith("int8ref: error: ")
        assert message in told
        assert told.count("\n") == 1
    assert model.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
