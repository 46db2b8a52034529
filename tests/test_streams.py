"""Descriptors of every kind: text is read and written, or one line reports the reason."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from int8ref.files.model_file import save
from int8ref.text.streams import RawFile
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import Command, run

TEXT = b"The cat sat on the mat.\n\na\nO sol nasceu\n"
COMMANDS = ("int8ref.translate", "int8ref.score", "int8ref.generate", "int8ref.perplexity",
            "int8ref.vectors", "int8ref.verify", "weights_import")  # fmt: skip
FEW = 20
"""Seconds, more than any step of these tests takes."""


@pytest.fixture
def tiny(tiny_file: Path) -> Command:
    command: Command = [sys.executable, "-m", "int8ref.translate", "-m", tiny_file]
    return [*command, "--backend", "reference", "--threads", "2"]


@pytest.fixture
def translation(tiny: Command) -> bytes:
    """The translation of TEXT."""
    status, out, errors = run(tiny, TEXT)
    assert (status, len(out.splitlines()), errors) == (0, 4, "")
    return out


def shell(command: Command, redirection: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
    return run(["sh", "-c", f'exec "$@" {redirection}', "sh", *command], stdin)


@contextmanager
def pipe(command: Command, **streams: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process with the given streams.  The other streams are pipes."""
    pipes = dict.fromkeys({"stdin", "stdout", "stderr"} - streams.keys(), subprocess.PIPE)
    with subprocess.Popen(command, **{**pipes, **streams}) as process:  # type: ignore[call-overload]
        yield process


def kinds_of_pairs() -> dict[str, Callable[[], tuple[int, int]]]:
    """Return functions that make the descriptors of a reader and a writer."""

    def pair() -> tuple[int, int]:
        a, b = socket.socketpair()
        return a.detach(), b.detach()

    return {"pipe": os.pipe, "socket": pair}


@pytest.mark.parametrize("kind", kinds_of_pairs())
def test_a_stdin_that_does_not_block_is_waited_for(
    tiny: Command, translation: bytes, kind: str
) -> None:
    """Another program that shares the descriptor (node, ssh, expect) may make it non-blocking."""
    reader, writer = kinds_of_pairs()[kind]()
    os.set_blocking(reader, False)
    with pipe(tiny, stdin=reader) as process:
        assert process.stdout is not None
        lines = zip(TEXT.splitlines(True), translation.splitlines(True), strict=True)
        for number, (line, wanted) in enumerate(lines):
            if number < 2:
                time.sleep(0.5)
            os.write(writer, line)
            assert process.stdout.readline() == wanted
        os.close(writer)
        assert process.wait(FEW) == 0
        assert not os.get_blocking(reader), "it is not ours to change"
    os.close(reader)


def test_a_line_that_comes_in_pieces(tiny: Command, translation: bytes) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with pipe(tiny, stdin=reader) as process:
        assert process.stdout is not None
        for piece in (TEXT[:3], TEXT[3:30], TEXT[30:]):
            os.write(writer, piece)
            time.sleep(0.3)
        os.close(writer)
        assert process.stdout.read() == translation
        assert process.wait(FEW) == 0
    os.close(reader)


def fill(writer: int) -> None:
    """Fill a pipe, so that writing blocks until a reader reads."""
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"." * 4096)
    except BlockingIOError:
        pass


def late(process: subprocess.Popen[bytes], reader: int, text: bytes) -> bytes:
    """Return the output of a process for a text if nobody reads for a second."""
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.close()
    time.sleep(1)
    found = b""
    while piece := os.read(reader, 1 << 16):
        found += piece
    assert process.wait(FEW) == 0
    os.close(reader)
    return found.lstrip(b".")


@pytest.mark.parametrize("kind", kinds_of_pairs())
def test_a_stdout_that_does_not_block_gets_everything(
    tiny: Command, translation: bytes, kind: str
) -> None:
    reader, writer = kinds_of_pairs()[kind]()
    fill(writer)
    with pipe(tiny, stdout=writer) as process:
        os.close(writer)
        assert late(process, reader, TEXT * 40) == translation * 40
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_stderr_that_does_not_block_gets_everything(tiny: Command) -> None:
    reader, writer = os.pipe()
    fill(writer)
    with pipe(tiny, stderr=writer) as process:
        os.close(writer)
        told = late(process, reader, (b"a cat and a dog " * 20 + b"\n") * 10)
        assert process.stdout is not None
        assert len(process.stdout.read().splitlines()) == 10
    numbers = [int(line.split(b":")[1].split()[1]) for line in told.splitlines()]
    assert numbers == list(range(1, 11))


@pytest.mark.parametrize(
    ("name", "option", "redirection", "why"),
    [(name, "--help", ">/dev/full", "standard output: No space left") for name in COMMANDS]
    + [
        ("int8ref.translate", "--version", ">/dev/full", "standard output: No space left"),
        ("int8ref.vectors", "--version", ">&-", "there is no standard output"),
        ("int8ref.score", "--help", ">&-", "there is no standard output"),
    ],
)
def test_what_cannot_be_told_is_an_error(
    name: str, option: str, redirection: str, why: str
) -> None:
    command: Command = ["env", "-u", "PYTHONUNBUFFERED", sys.executable, "-m", name, option]
    status, _, errors = shell(command, redirection)
    assert (status, len(errors.splitlines())) == (1, 1)
    assert errors.startswith(f"int8ref: error: {why}")


@pytest.mark.parametrize(
    ("name", "redirection"),
    [(name, "2>/dev/full") for name in COMMANDS] + [(COMMANDS[0], "2>&-")],
)
def test_wrong_usage_has_its_status_even_if_nobody_hears_of_it(name: str, redirection: str) -> None:
    command: Command = [sys.executable, "-m", name, "--nonsense"]
    assert shell(command, redirection) == (2, b"", "")


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2</dev/null"])
def test_warnings_that_nobody_can_hear_change_nothing(tiny: Command, redirection: str) -> None:
    text = b"a\n" + b"the cat sat " * 40 + b"\n"
    status, out, _ = shell([*tiny, "--strict"], redirection, text)
    assert (status, len(out.splitlines())) == (1, 1)
    assert shell(tiny, redirection, text)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "redirection", "why"),
    [
        ([], ">/dev/full", "standard output: No space left on device"),
        (["-o", "/dev/full"], "", "/dev/full: No space left on device"),
        ([], "1</dev/null", "standard output: Bad file descriptor"),
        ([], "0>/dev/null", "standard input: Bad file descriptor"),
        (["-i", ""], "", "'': No such file or directory"),
        (["-o", ""], "", "'': No such file or directory"),
    ],
)
def test_errors_name_the_file(
    tiny: Command, arguments: Command, redirection: str, why: str
) -> None:
    assert shell([*tiny, *arguments], redirection, TEXT) == (1, b"", f"int8ref: error: {why}\n")


def test_what_is_there_of_a_line_is_taken_away(tiny: Command, tmp_path: Path) -> None:
    """Simulates a full disk: the file is limited to 512 bytes."""
    out = tmp_path / "out"
    limited: Command = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *tiny]
    status, _, errors = run([*limited, "-o", out], TEXT * 40)
    assert (status, errors) == (1, f"int8ref: error: {out}: File too large\n")
    whole = run(tiny, TEXT * 40)[1]
    written = out.read_bytes()
    assert whole.startswith(written)
    assert 256 < len(written) <= 512
    assert written.endswith(b"\n")


def test_a_refused_option_leaves_the_output_as_it_is(tiny: Command, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("what was there before\n")
    status, out, errors = run([*tiny, "--shortlist", "-o", tmp_path / "out"], TEXT)
    assert (status, out) == (1, b"")
    assert "has no shortlist" in errors
    assert (tmp_path / "out").read_text() == "what was there before\n"


def test_a_signature_reads_nothing_and_writes_no_file(tiny: Command, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("what was there before\n")
    files: Command = ["-i", tmp_path / "none", "-o", tmp_path / "out"]
    status, out, errors = shell([*tiny, "--signature", *files], "<&-")
    assert (status, errors) == (0, "")
    assert b"|model:tiny|" in out
    assert (tmp_path / "out").read_text() == "what was there before\n"


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_no_file_takes_the_place_of_a_closed_stream(
    tiny: Command, translation: bytes, tmp_path: Path, closed: str
) -> None:
    """A new file gets the lowest free descriptor, and libraries write to descriptor 2."""
    (tmp_path / "in").write_bytes(TEXT)
    program = (
        "import sys, os; from int8ref import translate; from int8ref.commands import command\n"
        "from int8ref.translation import worker\n"
        "encode = worker._encode\n"
        "def noisy(*given): os.write(2, b'noise'); return encode(*given)\n"
        "worker._encode = noisy; command.begin(); sys.exit(translate.main())"
    )
    files: Command = ["-i", tmp_path / "in", "-o", tmp_path / "out"]
    noisy: Command = [sys.executable, "-c", program, *tiny[3:], *files]
    assert shell(noisy, closed)[:2] == (0, b"")
    assert (tmp_path / "out").read_bytes() == translation


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams") / "decoder.safetensors"
    save(path, build_tiny_model(4, "decoder"))
    return path


@pytest.mark.parametrize("arguments", [
    ["int8ref.translate", "-i", "FILE", "-o", "OUT"],
    ["int8ref.translate", "-i", "FILE"],
    ["int8ref.translate", "-i", "FILE", "-m", "/none"],
    ["int8ref.translate", "-i", "FILE", "--shortlist"],
    ["int8ref.translate", "-i", "FILE", "-o", "FILE"],
    ["int8ref.translate", "--signature"],
    ["int8ref.score", "FILE", "FILE", "-o", "OUT"],
    ["int8ref.score", "FILE", "MODEL"],
    ["int8ref.generate", "-m", "LM", "--max-tokens", "3", "-i", "FILE", "-o", "OUT"],
    ["int8ref.perplexity", "-m", "LM", "-i", "FILE"],
    ["int8ref.vectors", "a cat", "-o", "OUT"],
    ["int8ref.vectors", "a cat", "-o", "MODEL"],
    ["weights_import", "FILE", "-o", "OUT"],
])  # fmt: skip
def test_files_are_closed(
    tiny_file: Path, language_model: Path, tmp_path: Path, arguments: list[str]
) -> None:
    """Python reports files that are not closed."""
    (tmp_path / "FILE").write_bytes(TEXT)
    places = {"LM": language_model, "MODEL": tiny_file, "OUT": tmp_path / "OUT"}
    places |= {"FILE": tmp_path / "FILE"}
    given = [places.get(word, word) for word in arguments]
    if "-m" not in given and "weights_import" not in given:
        given += ["-m", tiny_file]
    backend = ["--backend", "reference"] * ("weights_import" not in given)
    status, _, errors = run([sys.executable, "-X", "dev", "-W", "error", "-m", *given, *backend])
    assert "Warning" not in errors
    assert "Traceback" not in errors
    assert len(errors.splitlines()) == (status or "int8ref.vectors" in given)


def test_a_terminal_gives_text_and_gets_it(tiny: Command, translation: bytes) -> None:
    leader, follower = pty.openpty()
    with pipe(tiny, stdin=follower, stdout=follower, stderr=follower) as process:
        os.close(follower)
        os.write(leader, TEXT + b"\x04")
        assert process.wait(FEW) == 0
        told = b""
        try:
            while piece := os.read(leader, 1 << 16):
                told += piece
        except OSError:  # the end of a terminal on Linux
            pass
    os.close(leader)
    lines = told.replace(b"\r", b"").split(b"\n")
    assert any(b"Ctrl-D ends" in line for line in lines)
    assert [line for line in translation.split(b"\n") if line not in lines] == []


def test_a_signal_that_does_not_end_it_loses_nothing(tiny: Command, translation: bytes) -> None:
    """A terminal that changes its size, or a stopped job, interrupts a read."""
    with pipe(tiny) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line, wanted in zip(TEXT.splitlines(True), translation.splitlines(True), strict=True):
            for kind in (signal.SIGWINCH, signal.SIGSTOP, signal.SIGCONT):
                process.send_signal(kind)
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == wanted
        process.stdin.close()
        assert process.wait(FEW) == 0


def test_a_file_waits_where_the_system_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows can wait only for sockets."""

    def refuse(*_: object) -> None:
        raise OSError("not a socket")

    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    monkeypatch.setattr("select.select", refuse)
    waits = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            os.write(writer, b"late")

    monkeypatch.setattr("time.sleep", pause)
    buffer = bytearray(9)
    assert RawFile(reader, "rb", "pipe").readinto(buffer) == 4
    assert (buffer[:4], len(waits)) == (b"late", 3)
    os.close(writer)
    assert RawFile(reader, "rb", "pipe").readinto(buffer) == 0
    os.close(reader)


def test_a_command_may_be_called_where_stdout_is_no_file(tiny_file: Path) -> None:
    """A notebook has such a stdout."""
    program = (
        "import contextlib, io, sys; from int8ref import translate\n"
        "out, told = io.StringIO(), io.StringIO()\n"
        "with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):\n"
        "    status = translate.main([*sys.argv[1:], 'the {cat', 'a'])\n"
        "print(status, len(out.getvalue().splitlines()), 'vocabulary lacks' in told.getvalue())"
    )
    few: Command = ["-m", tiny_file, "--backend", "reference"]
    assert run([sys.executable, "-c", program, *few]) == (0, b"0 2 True\n", "")
