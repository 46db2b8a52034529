"""The command as a process: streams, signals, errors, exit statuses."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sentencepiece

from int8ref.engines.backends import load_engine
from int8ref.files.model_file import Model, load, model_hash, save
from int8ref.program.sizes import max_target_length
from int8ref.spec import arithmetic
from tests.helpers.engines import requests
from tests.helpers.processes import TIMEOUT, Command, run, start

TEXT = """\
The cat sat on the mat.

A dog ran in the sun, and the cat saw it.
   \t
We like to eat red fish; do you?
a
O gato comeu o peixe.\u2028O sol nasceu
a cat\0and\u0085a dog
O sol nasceu e o dia foi bom!
"""
ONE_MORE_PIECE = b"\x0a\x09" + b"\x0a\x02zz" + b"\x15\x00\x00\x00\xc1"
"""The piece zz with the score -8 in the format of protocol buffers, to append to a model."""


def command(*arguments: str | Path) -> Command:
    return [sys.executable, "-m", "int8ref.translate", *arguments]


@pytest.fixture
def tiny(tiny_file: Path) -> Command:
    """The command with the tiny model, on the backend that needs no compiler."""
    return command("-m", tiny_file, "--backend", "reference", "--threads", "2")


def expected(model: Model, lines: Sequence[str], factor: int = 250) -> bytes:
    """Translate one sentence at a time with the engine alone, without the command."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.source.model)
    engine = load_engine(model.program, model.tensors, "reference")
    out = []
    for line in lines:
        ids = processor.encode(line)[: model.program.max_source_length - 1]
        limit = max(1, min((len(ids) + 1) * factor // 100, len(model.tensors["positions"])))
        if factor == model.program.max_length_factor:
            assert limit == max_target_length(model.program, model.tensors, len(ids) + 1)
        out.append(
            processor.decode(engine.greedy(requests([[*ids, 0]], [limit]))[0]) if ids else ""
        )
    return "".join(f"{line}\n" for line in out).encode()


@pytest.fixture(scope="module")
def translation(tiny_file: Path) -> bytes:
    """The translation of TEXT."""
    found = expected(load(tiny_file), TEXT.split("\n")[:-1])
    assert len(set(found.split(b"\n"))) >= 6, "the tiny model should not say the same of all"
    return found


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_a_line_for_a_line(tiny: Command, translation: bytes, ending: str, final: bool) -> None:
    content = TEXT.replace("\n", ending)
    content = content if final else content.removesuffix(ending)
    assert run(tiny, content.encode()) == (0, translation, "")


@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (2, 2), (7, 1), (64, 2)])
def test_batches_and_threads_change_nothing(
    tiny: Command, translation: bytes, batch: int, threads: int
) -> None:
    order = [3, 8, 0, 1, 5, 2, 7, 4, 6] * 2
    lines = TEXT.split("\n")
    content = "".join(f"{lines[i]}\n" for i in order).encode()
    options = ["--batch-size", str(batch), "--threads", str(threads), "--buffer-size", str(batch)]
    status, out, errors = run([*tiny, *options], content)
    assert (status, errors) == (0, "")
    assert out == b"".join(translation.splitlines(keepends=True)[i] for i in order)


def test_both_backends_give_the_same_bytes(tiny: Command, translation: bytes) -> None:
    status, out, _ = run([*tiny, "--backend", "compiled"], TEXT.encode())
    assert (status, out) == (0, translation)


def test_empty_input_gives_empty_output(tiny: Command) -> None:
    assert run(tiny) == (0, b"", "")


def test_text_as_arguments(tiny: Command, translation: bytes) -> None:
    lines = TEXT.replace("\0", "").split("\n")
    out = run([*tiny, lines[0], "\n".join(lines[1:3])])
    assert out == (0, b"".join(translation.splitlines(keepends=True)[:3]), "")
    status, out, errors = run([*tiny, b"a\xff"])  # type: ignore[assignment,list-item]
    assert (status, out, errors) == (1, b"", "int8ref: error: argument 1 is not UTF-8\n")


def test_files(tiny: Command, translation: bytes, tmp_path: Path) -> None:
    (tmp_path / "in").write_text(TEXT)
    (tmp_path / "out").write_text("what was there before, longer than the translation" * 99)
    assert run([*tiny, "-i", tmp_path / "in", "-o", tmp_path / "out"]) == (0, b"", "")
    assert (tmp_path / "out").read_bytes() == translation


@pytest.mark.parametrize("which", ["same", "link", "stdin", "model"])
def test_the_output_must_not_be_a_file_in_use(
    tiny: Command, tiny_file: Path, tmp_path: Path, which: str
) -> None:
    source = tmp_path / "in"
    source.write_text(TEXT)
    (tmp_path / "link").symlink_to(source)
    arguments: Command = ["-i", source, "-o", source]
    if which == "link":
        arguments[3] = tmp_path / "link"
    if which == "model":
        arguments[3] = tiny_file
    if which == "stdin":
        with source.open() as file:
            done = subprocess.run(
                [*tiny, "-o", source], stdin=file, capture_output=True, check=False
            )
        status, out, errors = done.returncode, done.stdout, done.stderr.decode()
    else:
        status, out, errors = run([*tiny, *arguments])
    assert (status, out) == (1, b"")
    assert "the output is the" in errors
    assert source.read_text() == TEXT
    load(tiny_file)


def test_invalid_utf8_comes_after_what_is_before_it(tiny: Command, translation: bytes) -> None:
    status, out, errors = run(tiny, TEXT.encode() + b"a\xffb\n" + TEXT.encode())
    assert status == 1
    assert out == translation
    assert errors == "int8ref: error: line 10 is not UTF-8: byte 2 (0xff): invalid start byte\n"


def test_long_lines_are_cut_with_a_numbered_warning(tiny: Command, tiny_file: Path) -> None:
    model = load(tiny_file)
    lines = ["a cat", "the cat sat " * 40, "", "a dog " * 200_000, "a cat"]
    status, out, errors = run(tiny, "\n".join(lines).encode())
    assert status == 0
    assert out == expected(model, lines)
    told = errors.splitlines()
    assert len(told) == 3
    assert told[0].startswith("int8ref: line 2: only the first 63 of ")
    assert told[0].endswith(" tokens are used")
    assert told[1] == "int8ref: line 4: only the first 1048576 bytes are read"
    assert told[2].startswith("int8ref: line 4: only the first 63 of ")
    assert run([*tiny, "--quiet"], "\n".join(lines).encode()) == (0, out, "")
    assert run([*tiny, "--log-level", "error"], "\n".join(lines).encode()) == (0, out, "")


@pytest.mark.parametrize("fault", ["the cat sat " * 40, "a dog " * 200_000])
def test_strict_ends_at_a_line_that_would_be_cut(
    tiny: Command, translation: bytes, fault: str
) -> None:
    status, out, errors = run([*tiny, "--strict"], TEXT.encode() + f"{fault}\na cat\n".encode())
    assert (status, out) == (1, translation)
    assert errors.startswith("int8ref: error: line 10: only the first ")
    assert errors.endswith("; --strict ends the run\n")
    assert run([*tiny, "--strict"], TEXT.encode()) == (0, translation, "")


@pytest.mark.parametrize(("factor", "hundredths"), [("0.5", 50), ("1.25", 125), ("9", 900)])
def test_max_length_factor(tiny: Command, tiny_file: Path, factor: str, hundredths: int) -> None:
    lines = TEXT.split("\n")[:-1]
    out = run([*tiny, "--max-length-factor", factor], TEXT.encode())
    assert out == (0, expected(load(tiny_file), lines, hundredths), "")


@pytest.mark.parametrize("buffer", [[], ["--buffer-size", "1"]])
def test_a_coprocess_gets_each_line_before_it_sends_the_next(
    tiny: Command, translation: bytes, buffer: list[str]
) -> None:
    with start([*tiny, *buffer]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line, wanted in zip(TEXT.split("\n"), translation.splitlines(True), strict=False):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline() == wanted
        process.stdin.close()
        assert process.wait(TIMEOUT) == 0


def test_a_reader_that_leaves_ends_the_command_quietly(tiny: Command) -> None:
    with start(tiny) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"a cat\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"a cat\n")
        process.stdin.flush()
        assert process.wait(TIMEOUT) == -signal.SIGPIPE
        assert process.stderr.read() == b""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_whole_lines(
    tiny: Command, translation: bytes, tmp_path: Path, ending: signal.Signals
) -> None:
    out = tmp_path / "out"
    with start([*tiny, "-o", out, "--batch-size", "2"]) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(TEXT.encode() * 40)
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while not (out.exists() and out.stat().st_size):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(ending)
        assert process.wait(TIMEOUT) == -ending
        assert process.stderr.read() == b""
    written = out.read_bytes()
    assert written.endswith(b"\n")
    assert (translation * 40).startswith(written)


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (["--batch-size", "0"], 2, "not between 1 and"),
        (["--batch-size", "x"], 2, "invalid"),
        (["--threads", "-1"], 2, "not between 1 and"),
        (["--max-length-factor", "nan"], 2, "not a number from"),
        (["--max-length-factor", "1e999999999"], 2, "not a number from"),
        (["--max-length-factor", "0"], 2, "not a number from"),
        (["--alpha", "0.333"], 2, "not a number from"),
        (["--beam-size", "65"], 2, "not between 1 and 64"),
        (["--max-length", "0"], 2, "not between 1 and 131072"),
        (["--buffer-size", "0"], 2, "not between 1 and"),
        (["--n-best", "2"], 2, "--n-best 2 is more than --beam-size 1"),
        (["-b", "2", "--n-best", "2", "--output-format", "text"], 2, "needs another"),
        (["--scores", "a cat"], 2, "invalid choice"),
        (["--backend", "gpu"], 2, "invalid choice"),
        (["--nonsense"], 2, "unrecognized arguments"),
        (["-i", "-", "text"], 2, "exclude each other"),
        (
            ["-m", "xx-yy"],
            1,
            "no model file 'xx-yy', nor one of the names en-pt, pt-en, en-de-tatoeba",
        ),
        (["-m", "/"], 1, "not a regular file"),
        (["-m", __file__], 1, "test_translate.py: "),
        (["-i", "/no/such/input"], 1, "/no/such/input: No such file"),
        (["-i", "/"], 1, "directory"),
        (["-o", "/no/such/output"], 1, "/no/such/output: No such file"),
        (["-o", "/"], 1, "directory"),
        (["-o", "/dev/full", "a cat"], 1, "No space left"),
    ],
)
def test_errors(tiny: Command, arguments: list[str], status: int, why: str) -> None:
    found, out, errors = run([*tiny, *arguments])
    assert (found, out) == (status, b"")
    assert why in errors
    assert "Traceback" not in errors
    assert len(errors.splitlines()) == 1 or status == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda sound: b"\x78\x01", "not a SentencePiece model"),
        (lambda sound: sound + ONE_MORE_PIECE, "pieces for a vocabulary of"),
    ],
)
def test_tokenizers_that_do_not_fit(
    tiny: Command, tiny_file: Path, tmp_path: Path, content: Callable[[bytes], bytes], why: str
) -> None:
    model = load(tiny_file)
    wrong = replace(model.source, model=content(model.source.model))
    for side in ("source", "target"):
        save(tmp_path / "model", replace(model, **{side: wrong}))
        status, out, errors = run([*tiny, "-m", tmp_path / "model", "a cat"])
        assert (status, out) == (1, b"")
        assert errors.startswith("int8ref: error: model tiny: ")
        assert why in errors


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_streams_that_are_closed(tiny: Command, translation: bytes, closed: str) -> None:
    shell: Command = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    status, out, errors = run([*shell, *tiny], TEXT.encode())
    if closed == "2>&-":
        assert (status, out, errors) == (0, translation, "")
    else:
        assert (status, out) == (1, b"")
        assert "there is no standard" in errors


def test_help_and_version_need_no_library() -> None:
    for option, word in (("--help", "default: en-pt"), ("--version", "int8ref ")):
        program = (
            "import sys; from int8ref.translate import main\n"
            f"try: main(['{option}'])\n"
            "finally: print({'numpy', 'numba', 'sentencepiece'} & set(sys.modules))"
        )
        status, out, errors = run([sys.executable, "-c", program])
        assert (status, errors) == (0, "")
        assert word in out.decode()
        assert out.decode().endswith("set()\n")


def test_signature(tiny: Command, tiny_file: Path) -> None:
    usual = {
        "arithmetic": str(arithmetic.VERSION),
        "model": "tiny",
        "sha256": model_hash(tiny_file),
        "beam-size": "1",
        "normalization": "length",
        "alpha": "1",
        "shortlist": "none",
        "max-length": "none",
        "max-length-factor": "2.5",
        "backend": "reference",
    }
    others = {
        "beam-size": "4",
        "normalization": "gnmt",
        "alpha": "0.6",
        "max-length": "50",
        "max-length-factor": "1.5",
    }
    given = [word for name, value in others.items() for word in (f"--{name}", f"{value}")]
    for options, expected in (([], usual), (given, {**usual, **others})):
        status, out, errors = run([*tiny, "--signature", *options])
        assert (status, errors) == (0, "")
        parts = dict(part.split(":") for part in out.decode().strip().split("|"))
        assert parts.pop("int8ref")
        assert parts == expected


@pytest.mark.parametrize(
    ("redirection", "why"), [(">/dev/full", "No space left"), (">&-", "no standard output")]
)
def test_a_signature_that_cannot_be_written(tiny: Command, redirection: str, why: str) -> None:
    """Also if Python buffers the output until the end."""
    shell: Command = ["env", "-u", "PYTHONUNBUFFERED", "sh", "-c", f'exec "$@" {redirection}', "sh"]
    status, _, errors = run([*shell, *tiny, "--signature"])
    assert status == 1
    assert why in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(("quiet", "terminal"), [(False, True), (True, True), (False, False)])
def test_progress_is_for_terminals(
    tiny: Command, translation: bytes, quiet: bool, terminal: bool
) -> None:
    leader, follower = pty.openpty()
    stderr = follower if terminal else subprocess.PIPE
    with start([*tiny, *["--quiet"] * quiet], stderr=stderr) as process:
        os.close(follower)
        assert process.stdin is not None
        assert process.stdout is not None
        for line, wanted in zip(TEXT.split("\n")[:2], translation.splitlines(True), strict=False):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline() == wanted
            time.sleep(0.25)
        process.stdin.close()
        assert process.wait(TIMEOUT) == 0
        if terminal:
            try:
                told = os.read(leader, 1000)
            except OSError:  # nothing was written, and no process has it open
                told = b""
        else:
            assert process.stderr is not None
            told = process.stderr.read()
    os.close(leader)
    assert (b"lines/s" in told) == (terminal and not quiet)
    assert bool(told) == (terminal and not quiet)
    assert not told or told.endswith(b" \r")
