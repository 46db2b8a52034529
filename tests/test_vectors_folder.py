"""Vectors as a folder: true to the archive, complete, and written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from int8ref.corners import record_corners
from int8ref.errors import UserError
from int8ref.files.model_file import save
from int8ref.golden.archive import INDEX, archive
from int8ref.golden.description import Description, Index, schemas
from int8ref.golden.folder import write_folder
from int8ref.golden.vectors import Vectors
from int8ref.translation.recording import record
from tests.helpers.models import SENTENCES, build_tiny_model
from tests.helpers.processes import Command, run

MAX_BYTES = 6_000_000
DIGITS = {"int8": 2, "int16": 4, "int32": 8, "int64": 16}
MODEL = build_tiny_model(2)
TEXTS = SENTENCES[:3]
KINDS = ("operands", "results", "intermediates")


@cache
def sentences() -> Vectors:
    return record(MODEL, TEXTS, steps=4, intermediates=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "made"
    write_folder(path, sentences(), "tiny", "0" * 64)
    return path


def elements(case: Path, told: dict[str, Any]) -> Any:
    """Read an array from its raw file and from its text, with nothing of the project."""
    raw = (case / told["file"]).read_bytes()
    lines = (case / told["file"].replace(".bin", ".hex")).read_text("ascii").splitlines()
    bits = 4 * DIGITS[told["dtype"]]
    assert {len(line) for line in lines} <= {DIGITS[told["dtype"]]}
    signed = [x - (x >> (bits - 1) << bits) for x in (int(line, 16) for line in lines)]
    array = np.frombuffer(raw, np.dtype(told["dtype"]).newbyteorder("<"))
    assert array.tolist() == signed
    return array.reshape(told["shape"])


def test_the_folder_has_what_the_archive_has(folder: Path) -> None:
    arrays = np.load(io.BytesIO(archive(sentences(), "tiny", "0" * 64)), allow_pickle=False)
    wanted, index = json.loads(arrays[INDEX]), json.loads((folder / "index.json").read_text())
    records, cases = wanted.pop("records"), index.pop("cases")
    assert index == wanted
    assert (folder / "cases.txt").read_text().splitlines() == cases
    for case, told in zip(cases, records, strict=True):
        found = json.loads((folder / case / "desc.json").read_text())
        for kind in KINDS:
            for field, stored in found[kind].items():
                array = elements(folder / case, stored)
                assert array.dtype == arrays[stored["name"]].dtype
                np.testing.assert_array_equal(array, arrays[stored["name"]])
                found[kind][field] = stored["name"]
        assert found == told
    every = {path.name for path in folder.iterdir()}
    assert every == {*cases, "index.json", "cases.txt", "model", *schemas()}


def test_weights_are_written_once(folder: Path) -> None:
    constants = [name for name in sentences().arrays if name.startswith("model/")]
    assert len(list((folder / "model").glob("*.bin"))) == len(constants) > 5
    for case in folder.glob("*-*"):
        for told in json.loads((case / "desc.json").read_text())["operands"].values():
            assert told["name"].startswith("model/") == told["file"].startswith("../model/")


def test_the_files_fit_their_schemas(folder: Path) -> None:
    for name, schema in schemas().items():
        assert json.loads((folder / name).read_text()) == schema
    index = msgspec.json.decode((folder / "index.json").read_bytes(), type=Index)
    case = (folder / index.cases[0] / "desc.json").read_bytes()
    msgspec.json.decode(case, type=Description)
    for old, new in ((b'"encoder"', b'"elsewhere"'), (b'"int32"', b'"float"'), (b".bin", b"/../x"),
                     (b'"op"', b'"operation"')):  # fmt: skip
        assert old in case
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(case.replace(old, new, 1), type=Description)


def test_words_tell_what_the_description_tells(folder: Path) -> None:
    for case in folder.glob("*-*"):
        told = json.loads((case / "desc.json").read_text())
        words = [line.split(" ") for line in (case / "desc.txt").read_text().splitlines()]
        wanted = [["op", told["op"]]]
        constants = told["constants"].items()
        wanted += [["constant", field, str(x)] for field, x in constants if x is not None]
        wanted += [
            [kind[:-1], field, x["file"], x["dtype"], *map(str, x["shape"])]
            for kind in KINDS
            for field, x in told[kind].items()
        ]
        assert words == wanted


def test_corners_as_a_folder_are_small(tmp_path: Path) -> None:
    write_folder(tmp_path / "corners", record_corners())
    files = [path for path in (tmp_path / "corners").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    cases = (tmp_path / "corners" / "cases.txt").read_text().splitlines()
    told = json.loads((tmp_path / "corners" / cases[-1] / "desc.json").read_text())
    assert told["sequence"] == "corner"
    assert told["case"]["reason"]


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    write_folder(taken, sentences())  # an empty folder
    before = sorted(taken.iterdir())
    with pytest.raises(UserError, match="taken: the folder is not empty: remove it, or"):
        write_folder(taken, sentences())
    assert sorted(taken.iterdir()) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="file: is a file"):
        write_folder(tmp_path / "file", sentences())
    with pytest.raises(OSError, match="absent/made"):
        write_folder(tmp_path / "absent" / "made", sentences())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*made'"):
        write_folder(tmp_path / "made", sentences())
    assert list(tmp_path.iterdir()) == []


def test_names_of_a_model_are_no_paths(tmp_path: Path) -> None:
    """A model names its tensors as it likes."""
    vectors = Vectors(records=[dict(sentences().records[0])])
    evil = "model/../../evil"
    vectors.records[0] |= {"operands": {"x": evil}, "results": {}, "intermediates": {}}
    vectors.arrays = {evil: np.zeros(2, np.int8)}
    write_folder(tmp_path / "made", vectors)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    told = json.loads((tmp_path / "made" / "00000-embed" / "desc.json").read_text())
    assert told["operands"]["x"]["file"] == "../model/00000.bin"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return [sys.executable, "-m", "int8ref.vectors"]


def test_command(command: Command, tmp_path: Path, folder: Path) -> None:
    model = tmp_path / "tiny.safetensors"
    save(model, MODEL)
    out = f"{tmp_path / 'made'}/"
    given: Command = [*command, "-m", model, "--steps", "4", "--intermediates", "-o", out, *TEXTS]
    status, _, told = run(given)
    assert (status, told.count("\n")) == (0, 1)
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "index.json":
            made = tmp_path / "made" / path.relative_to(folder)
            assert made.read_bytes() == path.read_bytes(), path
    status, _, told = run(given)
    assert status == 1
    assert "the folder is not empty" in told
    shutil.rmtree(tmp_path / "made")
    status, _, told = run([*command, "-m", model, "--output-format", "folder", "-o", "-", "a cat"])
    assert (status, told) == (1, "int8ref: error: a folder cannot go to stdout: name it with"
                              " --output\n")  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--corners", "a cat"], "--corners needs no TEXT"),
        (["--corners", "--steps", "3"], "--steps does nothing with --corners"),
        (["--corners", "-m", "x"], "--model does nothing with --corners"),
        ([], "the following arguments are required: TEXT (or --corners)"),
    ],
)
def test_wrong_use(command: Command, given: list[str], message: str) -> None:
    status, out, told = run([*command, "-o", "x.npz", *given])
    assert (status, out) == (2, b"")
    assert told.splitlines()[-1] == f"python -m int8ref.vectors: error: {message}"


def test_corners_of_an_unknown_operation(command: Command) -> None:
    status, _, told = run([*command, "--corners", "--op", "conv", "-o", "x.npz"])
    assert status == 1
    assert told.startswith("int8ref: error: no operation 'conv': there are append, argmax")
