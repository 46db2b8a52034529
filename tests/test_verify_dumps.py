"""Dumps: equal results are accepted, in every form, and the first difference is located."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from int8ref import verify
from int8ref.corners import record_corners
from int8ref.files.model_file import model_hash, save
from int8ref.golden.archive import INDEX, archive
from int8ref.golden.folder import write_folder
from int8ref.golden.vectors import Vectors
from int8ref.translation.recording import record
from tests.fuzz import flips
from tests.helpers.encoders import build_encoder
from tests.helpers.models import SENTENCES, build_tiny_model
from tests.helpers.processes import Command, run

MODELS = {
    "translation": build_tiny_model(6, "translation"),
    "rotary": build_tiny_model(9, "rotary"),
    "labels": build_encoder("labels"),
}
TEXTS = [SENTENCES[0], "The cat"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("dumps")
    for name, model in MODELS.items():
        save(folder / f"{name}.safetensors", model)
    return {path.stem: path for path in folder.iterdir()}


def vectors(name: str = "translation", **options: Any) -> Vectors:
    return record(MODELS[name], TEXTS, **{"steps": 3, **options})


def put(path: Path, made: Vectors, files: dict[str, Path], name: str | None) -> Path:
    """Write a dump of a model, or of corner cases."""
    origin = (name, model_hash(files[name])) if name else (None, None)
    if path.suffix:
        path.write_bytes(archive(made, *origin))
    else:
        write_folder(path, made, *origin)
    return path


def answer(path: Path, model: Path | None, capfd: Any, *more: str) -> tuple[int, str, str]:
    named = ["-m", str(model)] if model else []
    status = verify.main([str(path), *named, "-q", *more])
    told = capfd.readouterr()
    assert status in (0, 1)
    assert told.err.count("\n") == status
    return status, told.out, told.err


@pytest.mark.parametrize("form", ["dump.npz", "dump"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("translation", {}),
        ("translation", {"intermediates": True, "ops": ["linear", "append"]}),
        ("rotary", {"steps": None}),
        ("labels", {}),
    ],
)
def test_golden_vectors_are_accepted(
    files: dict[str, Path], tmp_path: Path, form: str, name: str, options: Any, capfd: Any
) -> None:
    made = vectors(name, **options)
    path = put(tmp_path / form, made, files, name)
    status, out, told = answer(path, files[name], capfd)
    assert (status, told) == (0, "")
    assert out.startswith(f"accepted: {len(made.records)} operations, ")


def test_corner_cases_are_accepted(files: dict[str, Path], tmp_path: Path, capfd: Any) -> None:
    for form, made in (("all.npz", record_corners()), ("some", record_corners(["pool"], True))):
        assert answer(put(tmp_path / form, made, files, None), None, capfd)[0] == 0


@pytest.mark.parametrize("seed", range(0, 36, 3))
def test_a_flipped_bit_is_located(seed: int) -> None:
    assert flips.flip(seed) == ""


def test_the_row_of_a_difference_is_described(
    files: dict[str, Path], tmp_path: Path, capfd: Any
) -> None:
    made = vectors(ops=["linear"])
    number = next(n for n, told in enumerate(made.records) if told["step"] == 1)
    told = made.records[number]
    name = told["results"]["out"]
    right = made.arrays[name]
    made.arrays[name] = right.copy()
    made.arrays[name][1, 7] += 3
    path = put(tmp_path / "dump.npz", made, files, "translation")
    status, out, error = answer(path, files["translation"], capfd)
    place = f"record {number}, linear, decoder step 1, result out, row 1, column 7"
    assert status == 1
    assert f"{place}: got {right[1, 7] + 3}, expected {right[1, 7]}" in error
    with_registers = vectors(ops=["linear"], intermediates=True)
    inside = with_registers.records[number]["intermediates"]
    acc = with_registers.arrays[inside["acc"]]
    assert f"intermediate acc [1, 7]: {acc[1, 7]}" in out
    shown = [f"operand {field}" for field in ("x", "weight", "bias")]
    assert all(any(line.startswith(each) for line in out.splitlines()) for each in shown)


def test_a_wrong_register_comes_before_a_wrong_result(
    files: dict[str, Path], tmp_path: Path, capfd: Any
) -> None:
    made = vectors(ops=["linear"], intermediates=True)
    for part, field in (("results", "out"), ("intermediates", "acc")):
        name = made.records[2][part][field]
        made.arrays[name] = made.arrays[name] + made.arrays[name].dtype.type(1)
    path = put(tmp_path / "dump.npz", made, files, "translation")
    assert (
        "record 2, linear, encoder, intermediate acc, row 0, column 0"
        in answer(path, files["translation"], capfd)[2]
    )


def changed(made: Vectors, change: Callable[[Vectors], object]) -> Vectors:
    copied = json.loads(json.dumps(made.records))
    sentences = [replace(sentence, target=[*sentence.target]) for sentence in made.sentences]
    made = Vectors(sentences, copied, dict(made.arrays))
    change(made)
    return made


def set_constant(made: Vectors) -> None:
    made.records[1]["constants"] |= {next(iter(made.records[1]["constants"])): 12345}


@pytest.mark.parametrize("form", ["dump.npz", "dump"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made.records.pop(), "the dump ends after"),
        (lambda made: made.records.pop(3), "3"),
        (set_constant, "constants"),
        (lambda made: made.sentences[1].target.append(3), "target of sentence 1: got ["),
        (lambda made: made.sentences[0].source.append(3), "source of sentence 0: got ["),
        (lambda made: made.records[4].update(op="argmax"), "4"),
    ],
)
def test_other_descriptions(
    files: dict[str, Path],
    tmp_path: Path,
    form: str,
    change: Callable[[Vectors], object],
    message: str,
    capfd: Any,
) -> None:
    made = changed(vectors(), change)
    path = put(tmp_path / form, made, files, "translation")
    status, _, error = answer(path, files["translation"], capfd)
    assert status == 1
    assert message in error


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda right: right.astype(np.int64), "int64"),
        (lambda right: right[:-1], "expected int"),
        (lambda right: np.array([object()]), "object [1], expected"),
    ],
)
def test_arrays_of_another_type(
    files: dict[str, Path], tmp_path: Path, other: Any, message: str, capfd: Any
) -> None:
    """A pickle is data that nobody opens."""
    made = vectors()
    name = made.records[3]["results"][next(iter(made.records[3]["results"]))]
    path = put(tmp_path / "dump.npz", made, files, "translation")
    content = {}
    with zipfile.ZipFile(path) as old:
        content = {info.filename: old.read(info) for info in old.infolist()}
    member = io.BytesIO()
    np.lib.format.write_array(member, other(made.arrays[name]), allow_pickle=True)
    content[f"{name}.npy"] = member.getvalue()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for file, text in content.items():
            new.writestr(file, text)
    status, _, error = answer(path, files["translation"], capfd)
    assert status == 1
    assert "record 3" in error
    assert message in error


def test_a_bomb_does_not_fill_the_memory(
    files: dict[str, Path], tmp_path: Path, capfd: Any
) -> None:
    made = vectors()
    name = next(iter(made.records[0]["results"].values()))
    path = tmp_path / "bomb.npz"
    whole = put(tmp_path / "whole.npz", made, files, "translation")
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr(INDEX, old.read(INDEX))
        for field in made.records[0]["operands"].values():
            new.writestr(f"{field}.npy", old.read(f"{field}.npy"))
        with new.open(f"{name}.npy", "w") as member:
            for _ in range(64):
                member.write(bytes(1 << 20))
    assert "more than" in answer(path, files["translation"], capfd)[2]


def test_damaged_archives_are_faults_of_the_user(tmp_path: Path, capfd: Any) -> None:
    """Bits of a compressed archive are flipped: also in its structure and in headers."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive(record_corners(["pool"])))) as old,
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    for seed in range(60):
        chosen, wrong = random.Random(seed), bytearray(content.getvalue())
        for _ in range(chosen.choice([1, 2, 8])):
            wrong[chosen.randrange(len(wrong))] ^= 1 << chosen.randrange(8)
        (tmp_path / "dump.npz").write_bytes(wrong)
        answer(tmp_path / "dump.npz", None, capfd)


def test_compressed_archives_are_read(files: dict[str, Path], tmp_path: Path, capfd: Any) -> None:
    """`numpy.savez_compressed` of somebody else, with big-endian arrays in Fortran order."""
    made = vectors()
    whole = put(tmp_path / "whole.npz", made, files, "translation")
    path = tmp_path / "other.npz"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr(INDEX, old.read(INDEX))
        for name, array in made.arrays.items():
            member = io.BytesIO()
            np.save(member, np.asfortranarray(array, array.dtype.newbyteorder(">")))
            new.writestr(f"{name}.npy", member.getvalue())
    assert answer(path, files["translation"], capfd)[0] == 0


def test_the_text_of_a_simulator(tmp_path: Path, capfd: Any) -> None:
    """A folder with the output of $writememh: comments, several numbers in a line, capitals."""
    write_folder(tmp_path / "dump", record_corners(["requantize"]))
    case = sorted(path for path in (tmp_path / "dump").iterdir() if path.is_dir())[0]
    text = case / "out.hex"
    words = text.read_text().split()
    text.write_text("// 0x00000000\n" + " ".join(words).upper() + " // end\n")
    os.unlink(case / "out.bin")
    assert answer(tmp_path / "dump", None, capfd)[0] == 0
    for content, message in [
        (" ".join(["xx", *words[1:]]), "number 0 is 'xx'"),
        (" ".join(words[:-1]), "numbers, expected"),
        (" ".join(["-1", *words[1:]]), "number 0 is '-1'"),
        ("", "0 numbers"),
    ]:
        text.write_text(content)
        assert message in answer(tmp_path / "dump", None, capfd)[2]
    os.unlink(text)
    assert "out.bin is missing" in answer(tmp_path / "dump", None, capfd)[2]


def test_files_that_are_no_plain_files(tmp_path: Path, capfd: Any) -> None:
    """A pipe does not stop the command, and no description leaves the folder."""
    write_folder(tmp_path / "dump", record_corners(["pool"]))
    case = sorted(path for path in (tmp_path / "dump").iterdir() if path.is_dir())[0]
    os.unlink(case / "x.bin")
    os.mkfifo(case / "x.bin")
    assert "x.bin is no plain file" in answer(tmp_path / "dump", None, capfd)[2]
    told = json.loads((case / "desc.json").read_text())
    told["operands"]["x"]["file"] = "../../../etc/passwd"
    (case / "desc.json").write_text(json.dumps(told))
    assert "desc.json: " in answer(tmp_path / "dump", None, capfd)[2]
    shutil.rmtree(case)
    assert "desc.json: No such file" in answer(tmp_path / "dump", None, capfd)[2]


def test_dumps_of_something_else(files: dict[str, Path], tmp_path: Path, capfd: Any) -> None:
    path = put(tmp_path / "dump.npz", vectors(), files, "translation")
    assert "give the file of this model with --model" in answer(path, None, capfd)[2]
    assert "the file" in answer(path, files["rotary"], capfd)[2]
    (tmp_path / "text").write_text("no dump")
    assert "File is not a zip file" in answer(tmp_path / "text", None, capfd)[2]
    assert "index.json" in answer(tmp_path, None, capfd)[2]
    write_folder(tmp_path / "dump", record_corners(["pool"]))
    index = tmp_path / "dump" / "index.json"
    for member, message in [("arithmetic", "the dump is of arithmetic 99"), ("form", "index.json")]:
        told = json.loads(index.read_text())
        index.write_text(json.dumps(told | {member: 99}))
        assert message in answer(tmp_path / "dump", None, capfd)[2]
        index.write_text(json.dumps(told))


def test_the_command(files: dict[str, Path], tmp_path: Path) -> None:
    path = put(tmp_path / "dump.npz", vectors(), files, "translation")
    command: Command = [sys.executable, "-m", "int8ref.verify", path, "-m", files["translation"]]
    status, out, told = run(command)
    assert (status, told) == (0, "")
    assert out.startswith(b"accepted: ")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    status, out, told = run(command)
    assert (status, out) == (1, b"")
    assert "not a zip file" in told
