"""Damaged exports and vectors: the reference in C ends with an error, and never crashes."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from int8ref.flat.folder import write_model
from int8ref.golden.folder import write_folder
from int8ref.translation.direction import direction
from int8ref.translation.recording import record
from tests.helpers.models import SENTENCES
from tests.helpers.tiny_engines import MODELS
from tests.reference_c.program import NO_COMPILER, compiled, compiler, run

pytestmark = pytest.mark.skipif(compiler() is None, reason=NO_COMPILER)
WORDS = ("-1", "0", "1", "255", "1025", "2147483648", "-9223372036854775808", "9223372036854775807")
"""Numbers that take the place of others."""
TEXT = "4 5 6\n7 8\n"


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flat model."""
    model, folder = MODELS["recurrent"], tmp_path_factory.mktemp("flat") / "flat"
    write_model(folder, model, "0" * 64, direction(model, None, None), False)
    return folder


def ends_in_order(folder: Path) -> int:
    """Return the exit status of a run, which is 0 or 1.  A sanitizer would give another one."""
    done = run(compiled(str(compiler())), folder, "-b", "2", "-n", "3", text=TEXT)
    assert done.returncode in (0, 1), done.stderr
    assert (done.stderr == "") == (done.returncode == 0), done.stderr
    assert "Sanitizer" not in done.stderr
    assert done.stderr.count("\n") == done.returncode
    return done.returncode


def damaged_text(text: str, chance: random.Random) -> str:
    """Return the text with a word replaced, or a line dropped, repeated, cut or moved."""
    lines = text.splitlines()
    instructions = [n for n, line in enumerate(lines) if "=" in line]
    at = chance.choice(instructions or range(len(lines)))
    if chance.random() < 0.4:
        at = chance.randrange(len(lines))
    words = lines[at].split(" ")
    kind = chance.randrange(6)
    if kind < 3:
        place = chance.randrange(len(words))
        head, mark, _ = words[place].rpartition("=")
        words[place] = head + mark + chance.choice(["", "@", "$"]) + chance.choice(WORDS)
        lines[at] = " ".join(words)
    elif kind == 3:
        del lines[at]
    elif kind == 4:
        lines.insert(chance.randrange(len(lines)), lines[at])
    else:
        lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("seed", range(2))
def test_damaged_programs(seed: int, flat: Path, tmp_path: Path) -> None:
    chance, failed = random.Random(seed), 0
    folder = shutil.copytree(flat, tmp_path / "flat")
    text = (flat / "program.txt").read_text()
    for _ in range(40):
        (folder / "program.txt").write_text(damaged_text(text, chance))
        failed += ends_in_order(folder)
    assert failed > 10


def test_damaged_arrays(flat: Path, tmp_path: Path) -> None:
    """Any elements are taken, or refused with an error; a file of another length is refused."""
    chance, folder = random.Random(1), shutil.copytree(flat, tmp_path / "flat")
    content = (flat / "arrays.bin").read_bytes()
    for _ in range(10):
        wild = bytearray(content)
        for _ in range(200):
            wild[chance.randrange(len(wild))] = chance.choice([0, 1, 127, 128, 255])
        (folder / "arrays.bin").write_bytes(wild)
        ends_in_order(folder)
    for cut in (0, 1, 100, len(content) // 2):
        (folder / "arrays.bin").write_bytes(content[:cut])
        assert ends_in_order(folder) == 1
    (folder / "arrays.bin").unlink()
    assert ends_in_order(folder) == 1


@pytest.mark.parametrize(
    "text", ["", "int8ref-export 2\n", "arithmetic 3\n", "int8ref-export 1", "\0" * 9, "1 " * 9999]
)
def test_other_files(text: str, flat: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(flat, tmp_path / "flat")
    (folder / "program.txt").write_text(text)
    assert ends_in_order(folder) == 1


def test_damaged_vectors(tmp_path: Path) -> None:
    chance = random.Random(3)
    write_folder(tmp_path / "v", record(MODELS["translation"], SENTENCES[:1], 1))
    names = (tmp_path / "v" / "cases.txt").read_text().splitlines()
    program = compiled(str(compiler()))
    for _ in range(60):
        name = chance.choice(names)
        (tmp_path / "v" / "cases.txt").write_text(f"{name}\n")
        path = tmp_path / "v" / name / "desc.txt"
        text = path.read_text()
        path.write_text(damaged_text(text, chance))
        done = run(program, tmp_path / "v")
        path.write_text(text)
        assert done.returncode in (0, 1), done.stderr
        assert "Sanitizer" not in done.stderr


def test_a_difference_is_told(tmp_path: Path) -> None:
    write_folder(tmp_path / "v", record(MODELS["translation"], SENTENCES[:1], 1, ["linear"]))
    name = (tmp_path / "v" / "cases.txt").read_text().splitlines()[0]
    path = tmp_path / "v" / name / "out.bin"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    done = run(compiled(str(compiler())), tmp_path / "v")
    assert done.returncode == 1
    assert f"{name}: out[0, 3] is " in done.stdout
    assert ", 1 differ\n" in done.stdout


@pytest.mark.parametrize("line", ["-1", "a", "99999999999", "63 64 65 66 9999", "4\t5"])
def test_lines_that_are_no_token_ids(line: str, flat: Path) -> None:
    done = run(compiled(str(compiler())), flat, text=f"{line}\n")
    assert done.returncode == 1
    assert done.stderr.startswith("int8ref_c: error: ")


@pytest.mark.parametrize(
    "options",
    [["-b"], ["-b", "-1"], ["-b", "65"], ["-n", "x"], ["-n", ""], ["-z", "1"], ["-s", "1"]],
)
def test_wrong_usage(options: list[str], flat: Path) -> None:
    assert run(compiled(str(compiler())), flat, *options).returncode == 2


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert ends_in_order(tmp_path / "none") == 1
