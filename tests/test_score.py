"""The command that scores translations: its scores equal the scores of the search."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from int8ref import score
from tests.helpers.processes import TIMEOUT, Command, run, start

SOURCES = ["The cat sat on the mat.", "", "a", "O sol nasceu", "We like fish"]
TARGETS = ["O gato comeu o peixe.", "", "", "the sun", "a dog \u2028 ran"]
PAIRS = "".join(f"{s}\t{t}\n" for s, t in zip(SOURCES, TARGETS, strict=True)).encode()


@pytest.fixture
def tiny(tiny_file: Path) -> Command:
    command: Command = [sys.executable, "-m", "int8ref.score", "-m", tiny_file]
    return [*command, "--backend", "reference", "--threads", "2"]


@pytest.fixture
def scores(tiny: Command) -> bytes:
    """The scores of PAIRS."""
    status, out, errors = run([*tiny, "--scores=token"], PAIRS)
    assert (status, errors) == (0, "")
    return out


def test_a_score_a_line_never_positive(tiny: Command, scores: bytes) -> None:
    rows = [line.split(" ||| WordScores=") for line in scores.decode().splitlines()]
    assert len(rows) == len(SOURCES)
    for total, words in rows:
        tokens = [Decimal(word) for word in words.split()]
        assert all(word <= 0 for word in (Decimal(total), *tokens))
        assert abs(sum(tokens) - Decimal(total)) <= Decimal("0.000001") * len(tokens)
    assert rows[1] == ["0.000000", ""]
    assert len(rows[2][1].split()) == 1, "the end of the sentence alone"
    assert run(tiny, PAIRS) == (0, "".join(f"{total}\n" for total, _ in rows).encode(), "")


@pytest.mark.parametrize(
    "speed", [["--batch-size", "1"], ["--batch-size", "3", "--threads", "3"], ["--buffer-size=1"]]
)
def test_batches_and_threads_change_nothing(tiny: Command, scores: bytes, speed: list[str]) -> None:
    order = [3, 0, 4, 2, 1] * 3
    lines = PAIRS.splitlines(keepends=True)
    found = run([*tiny, "--scores=token", *speed], b"".join(lines[i] for i in order))
    wanted = scores.splitlines(keepends=True)
    assert found == (0, b"".join(wanted[i] for i in order), "")


def test_both_backends_give_the_same_bytes(tiny: Command, scores: bytes) -> None:
    command = [*tiny, "--scores=token", "--backend", "compiled"]
    assert run(command, PAIRS)[:2] == (0, scores)


def test_what_the_search_found_has_the_score_it_told(tiny: Command, tiny_file: Path) -> None:
    """Holds if the text has the tokens of the search, and the search found eos."""
    search: Command = [
        sys.executable,
        "-m",
        "int8ref.translate",
        "-m",
        tiny_file,
        "-b",
        "3",
        "--n-best",
    ]
    search += ["3", "--output-format", "json", "--scores=token", "--backend", "reference"]
    options = ["--normalization", "gnmt", "--alpha", "0.6"]
    told = []
    for line in run([*search, *options], "\n".join(SOURCES).encode())[1].splitlines():
        document = json.loads(line)
        told += [(document["source"], found) for found in document["translations"]]
    pairs = "".join(f"{source}\t{found['text']}\n" for source, found in told).encode()
    status, out, _ = run([*tiny, "--scores=token", "--output-format=json", *options], pairs)
    assert status == 0
    compared = 0
    for line, (_, found) in zip(out.splitlines(), told, strict=True):
        again = json.loads(line)
        assert again["text"] == found["text"]
        if again["tokens"] == found["tokens"] and found["complete"]:
            compared += 1
            for name in ("score", "log_probability", "token_scores", "complete"):
                assert again[name] == found[name]
    assert compared >= 3


def test_two_files(tiny: Command, scores: bytes, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("\n".join(SOURCES))
    (tmp_path / "target").write_text("\r\n".join(TARGETS) + "\n")
    files: Command = [tmp_path / "source", tmp_path / "target"]
    assert run([*tiny, "--scores=token", *files]) == (0, scores, "")
    assert run([*tiny, "--scores=token", *files, "-o", tmp_path / "out"]) == (0, b"", "")
    assert (tmp_path / "out").read_bytes() == scores
    for what, path in zip(("source", "translation"), files, strict=True):
        status, out, errors = run([*tiny, *files, "-o", path])
        assert (status, out) == (1, b"")
        assert f"the output is the {what} file" in errors


@pytest.mark.parametrize("longer", ["source", "target"])
def test_files_of_unlike_length(tiny: Command, tmp_path: Path, longer: str) -> None:
    """The command writes the scores of the complete pairs, then the error."""
    for name, lines in (("source", SOURCES), ("target", TARGETS)):
        extra = ["one more"] if name == longer else []
        (tmp_path / name).write_text("".join(f"{line}\n" for line in [*lines, *extra]))
    status, out, errors = run([*tiny, tmp_path / "source", tmp_path / "target"])
    assert (status, len(out.splitlines())) == (1, len(SOURCES))
    short, long = ("translations", "sources")[:: 1 if longer == "source" else -1]
    assert errors == f"int8ref: error: the {short} end before line 6, the {long} do not\n"


@pytest.mark.parametrize(("line", "tabs"), [("no tab", 0), ("a\tb\tc", 2)])
def test_lines_that_are_no_pairs(tiny: Command, line: str, tabs: int) -> None:
    status, out, errors = run(tiny, PAIRS + f"{line}\na\tb\n".encode())
    assert (status, len(out.splitlines())) == (1, len(SOURCES))
    assert errors == f"int8ref: error: line 6 has {tabs} tabs, not one\n"


@pytest.mark.parametrize("wrong", ["source", "target"])
def test_the_file_with_the_wrong_byte_is_named(tiny: Command, tmp_path: Path, wrong: str) -> None:
    for name in ("source", "target"):
        (tmp_path / name).write_bytes(b"a\nb\xff\n" if name == wrong else b"a\nb\n")
    status, out, errors = run([*tiny, tmp_path / "source", tmp_path / "target"])
    assert (status, len(out.splitlines())) == (1, 1)
    where = f"{tmp_path / wrong}: line 2"
    assert errors == f"int8ref: error: {where} is not UTF-8: byte 2 (0xff): invalid start byte\n"
    status, _, errors = run([*tiny, "-i", tmp_path / "source"])
    assert errors == f"int8ref: error: {tmp_path / 'source'}: line 1 has 0 tabs, not one\n"


@pytest.mark.parametrize("side", ["line 1", "line 1, translation"])
def test_long_ones_are_cut_and_told(tiny: Command, side: str) -> None:
    long = "the cat sat " * 40
    pair = f"{long}\ta" if side == "line 1" else f"a\t{long}"
    status, out, errors = run([*tiny, "--output-format", "json"], pair.encode())
    assert status == 0
    document = json.loads(out)
    assert document["truncated"]
    assert max(len(document["source_tokens"]), len(document["tokens"])) == 63
    assert errors.startswith(f"int8ref: {side}: only the first 63 of ")
    status, out, errors = run([*tiny, "--strict"], pair.encode())
    assert (status, out) == (1, b"")
    assert errors.startswith(f"int8ref: error: {side}: only the first 63 of ")


def test_alignment_of_given_translations(tiny: Command) -> None:
    _, out, _ = run([*tiny, "--alignment", "--output-format", "json"], PAIRS)
    for line in out.splitlines():
        document = json.loads(line)
        targets = [target for _, target in document["alignment"]]
        assert targets == list(range(len(document["tokens"]) if document["source_tokens"] else 0))
        assert all(s < len(document["source_tokens"]) for s, _ in document["alignment"])


def test_a_coprocess_gets_each_score_before_it_sends_the_next(tiny: Command, scores: bytes) -> None:
    with start([*tiny, "--scores=token"]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line, wanted in zip(PAIRS.splitlines(True), scores.splitlines(True), strict=True):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == wanted
        process.stdout.close()
        process.stdin.write(b"a\tb\n")
        process.stdin.flush()
        assert process.wait(TIMEOUT) == -signal.SIGPIPE


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (["one"], 2, "give two files"),
        (["one", "two", "three"], 2, "give two files"),
        (["one", "two", "-i", "three"], 2, "exclude each other"),
        (["-", "-"], 2, "may be -, stdin, not both"),
        (["--output-format", "nbest"], 2, "invalid choice"),
        (["/no/such", os.devnull], 1, "/no/such: No such file"),
        (["-m", "xx-yy"], 1, "no model file 'xx-yy'"),
    ],
)
def test_errors(tiny: Command, arguments: list[str], status: int, why: str) -> None:
    found, out, errors = run([*tiny, *arguments])
    assert (found, out) == (status, b"")
    assert why in errors
    assert "Traceback" not in errors


def test_help_shows_defaults_and_needs_no_library() -> None:
    program = (
        "import sys; from int8ref.score import main\n"
        "try: main(['--help'])\n"
        "finally: print({'numpy', 'numba', 'sentencepiece'} & set(sys.modules))"
    )
    out = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert out.endswith("set()\n")
    options = score.parser().format_help()
    assert "(default: none)" in options.replace("\n                        ", " ")
    assert out.startswith(options.split("\n")[0])
