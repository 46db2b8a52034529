"""`python -m int8ref.export`: whole folders, in the documented form."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from int8ref.files.model_file import load, model_hash, save
from int8ref.program.sizes import max_steps
from int8ref.search.length import penalty
from tests.helpers.many_languages import speaking
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import TIMEOUT, Command, run

TINY = build_tiny_model(2)
DTYPES = {"8": "<i1", "16": "<i2", "32": "<i4"}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save(path, TINY)
    return path


@pytest.fixture(scope="module")
def flat(model_file: Path) -> Path:
    """A folder that the command has written."""
    folder = model_file.with_name("flat")
    assert export(model_file, folder, "--readmemh") == (0, b"", "int8ref: 68 arrays of tiny\n")
    return folder


def export(model: Path, folder: Path, *options: str) -> tuple[int, bytes, str]:
    command: Command = [sys.executable, "-m", "int8ref.export", "-m", model, "-o", folder, *options]
    return run(command)


def lines_of(folder: Path, word: str) -> list[list[str]]:
    """Return the words of the lines that begin with a word, without comments."""
    lines = (folder / "program.txt").read_text("ascii").splitlines()
    split = [line.split("#")[0].split() for line in lines]
    return [words[1:] for words in split if words[0] == word]


def names_of(folder: Path) -> list[str]:
    """Return the names of the arrays, which are comments."""
    lines = (folder / "program.txt").read_text("ascii").splitlines()
    return [line.split()[-1] for line in lines if line.startswith("array")]


def numbers_of(folder: Path, word: str) -> list[int]:
    return [int(number) for words in lines_of(folder, word) for number in words]


def test_every_array_is_at_its_place(flat: Path) -> None:
    content = (flat / "arrays.bin").read_bytes()
    names = names_of(flat)
    assert sorted(names) == sorted(TINY.tensors)
    end = 0
    for name, (bits, rows, steps, width, offset) in zip(
        names, lines_of(flat, "array"), strict=True
    ):
        tensor = TINY.tensors[name]
        assert int(offset) % 64 == 0
        assert (int(rows), steps, int(width)) == (len(tensor), "1", tensor.size // len(tensor))
        found = np.frombuffer(content, DTYPES[bits], tensor.size, int(offset))
        assert (np.dtype(DTYPES[bits]), found.tolist()) == (tensor.dtype, tensor.ravel().tolist())
        assert int(offset) - end < 64
        end = int(offset) + tensor.nbytes
    assert len(content) - end < 64


def test_hexadecimal_texts_have_the_same_elements(flat: Path) -> None:
    for number, name in enumerate(names_of(flat)):
        tensor = TINY.tensors[name]
        words = (flat / "hex" / f"{number:05}.hex").read_text().split()
        bits = 8 * tensor.itemsize
        found = [int(word, 16) for word in words]
        assert {len(word) for word in words} == {bits // 4}, name
        assert found == [int(x) % (1 << bits) for x in tensor.ravel()], name


def test_the_numbers_of_decoding(flat: Path, model_file: Path) -> None:
    program = TINY.program
    steps = max_steps(program, TINY.tensors)
    assert lines_of(flat, "int8ref-export") == [["1"]]
    assert lines_of(flat, "sha256") == [[model_hash(model_file)]]
    assert numbers_of(flat, "end") == list(program.ends)
    assert numbers_of(flat, "start") == [program.start]
    assert numbers_of(flat, "max_source") == [program.max_source_length]
    assert numbers_of(flat, "max_steps") == [steps]
    assert numbers_of(flat, "before") + numbers_of(flat, "after") == [program.eos]
    found = numbers_of(flat, "penalty")
    assert found == [penalty("length", program.alpha, n + 1) for n in range(len(found))]
    assert len(found) == min(steps, program.max_source_length * program.max_length_factor // 100)


def test_every_instruction_is_there(flat: Path) -> None:
    for word, wanted in (("encoder", TINY.program.encoder), ("decoder", TINY.program.decoder)):
        found = lines_of(flat, word)
        assert [words[0] for words in found] == [instruction.op for instruction in wanted]
        for words, instruction in zip(found, wanted, strict=True):
            present = {name for name, _, content in instruction.operands() if content is not None}
            assert {field.split("=")[0] for field in words[1:]} == present


def test_the_header_compiles_and_has_the_places(flat: Path, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    (tmp_path / "show.c").write_text(
        '#include <stdio.h>\n#include "model.h"\nint main(void) {\n'
        '    for (int i = 0; i < INT8REF_ARRAYS; i++)\n        printf("%lu 1 %lu %lu %lu\\n",\n'
        "               INT8REF_ARRAY[i][0], INT8REF_ARRAY[i][1], INT8REF_ARRAY[i][2],\n"
        "               INT8REF_ARRAY[i][3]);\n    return INT8REF_EMBEDDINGS;\n}\n"
    )
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{flat}"]
    command = [compiler, *flags, "show.c", "-o", "show"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=TIMEOUT)
    status, shown, _ = run([tmp_path / "show"])
    wanted = [[b, "1", r, w, at] for b, r, _, w, at in lines_of(flat, "array")]
    assert [line.split() for line in shown.decode().splitlines()] == wanted
    assert status == names_of(flat).index("embeddings")


def test_the_same_model_gives_the_same_bytes(flat: Path, model_file: Path, tmp_path: Path) -> None:
    assert export(model_file, tmp_path / "again", "--readmemh", "-q") == (0, b"", "")
    for path in flat.rglob("*"):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(flat)
            assert again.read_bytes() == path.read_bytes()


def test_a_folder_with_files_is_left_alone(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    status, _, told = export(model_file, tmp_path / "full")
    assert (status, told.count("\n")) == (1, 1)
    assert "the folder is not empty" in told
    status, _, told = export(model_file, model_file)
    assert (status, "is a file" in told) == (1, True)
    status, _, told = export(model_file, tmp_path / "none" / "flat")
    assert (status, told.count("\n")) == (1, 1)
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine"]


def test_an_empty_folder_is_filled(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert export(model_file, tmp_path / "empty")[0] == 0
    assert {p.name for p in (tmp_path / "empty").iterdir()} == {
        "program.txt",
        "arrays.bin",
        "model.h",
    }


def test_the_languages_of_a_model_of_many_languages(tmp_path: Path) -> None:
    path = tmp_path / "many.safetensors"
    save(path, speaking())
    status, _, told = export(path, tmp_path / "flat")
    assert (status, "language" in told) == (2, True)
    chosen = ["--source-language", "eng_Latn", "--target-language", "por_Latn"]
    assert export(path, tmp_path / "flat", *chosen)[0] == 0
    languages = load(path).program.languages
    assert numbers_of(tmp_path / "flat", "before") == list(languages.sources["eng_Latn"].before)  # type: ignore[union-attr]
    assert numbers_of(tmp_path / "flat", "forced") == list(languages.targets["por_Latn"].target)  # type: ignore[union-attr]
