"""Messages on standard error of any kind, and the progress line on a terminal."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from int8ref.commands import console
from int8ref.commands.console import Console
from int8ref.host.progress import PROGRESS, Steps

LOG = logging.getLogger("int8ref")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Restore the logger."""
    before = LOG.handlers, LOG.propagate, LOG.level
    yield
    LOG.handlers, LOG.propagate = before[:2]
    LOG.setLevel(before[2])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class OnlyWrite:
    """A replacement of stderr, as some programs install it."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def without_reader() -> io.TextIOWrapper:
    read, write = os.pipe()
    os.close(read)
    return io.TextIOWrapper(io.FileIO(write, "w"), write_through=True)


DEAF: dict[str, Callable[[], object]] = {
    "none": lambda: None,
    "closed": closed,
    "without a reader": without_reader,
    "only write": OnlyWrite,
    "nothing": object,
}


@pytest.mark.parametrize("stream", DEAF.values(), ids=DEAF)
def test_any_stream_will_do(stream: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    found = stream()
    monkeypatch.setattr(sys, "stderr", found)
    made = Console("info")
    made.start_progress(True)
    made.info("a message")
    made.error("a message")
    LOG.log(PROGRESS, "a step")
    made.progress(str)
    made.clear()
    if isinstance(found, io.TextIOWrapper):
        with suppress(OSError):
            found.buffer.close()
    if isinstance(found, OnlyWrite):
        assert found.text == "int8ref: a message\nint8ref: error: a message\n"


def test_what_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(content, "ascii"))
    Console("info").info("água")
    assert content.getvalue() == b"int8ref: \\xe1gua\n"


def test_on_a_terminal_a_line_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "30")
    made = Console("info")
    LOG.log(PROGRESS, "compiling: 1 of 33 parts")
    LOG.log(PROGRESS, "x" * 100)
    made.info("done")
    _, first, second, cleared, last = terminal.getvalue().split("\r")
    assert first == "int8ref: compiling: 1 of 33 p"
    assert second == "int8ref: " + "x" * 20
    assert cleared == " " * 29
    assert last == "int8ref: done\n"


def test_elsewhere_a_long_step_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = io.StringIO(), [0.0]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    Console("info")
    for second in range(25):
        now[0] = second
        LOG.log(PROGRESS, "a step (%d s)", second)
    assert stream.getvalue() == "int8ref: a step (10 s)\nint8ref: a step (20 s)\n"


@pytest.mark.parametrize("level", ["warning", "error"])
def test_quiet_is_quiet(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    Console(level).info("a message")
    LOG.log(PROGRESS, "a step")
    assert terminal.getvalue() == ""


def test_steps_are_followed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("int8ref.host.progress.INTERVAL_SECONDS", 0.01)
    caplog.set_level(PROGRESS)
    steps = Steps(logging.getLogger("test"))
    steps.tell(logging.INFO, "one")
    steps.tell(PROGRESS, "1 of 2")
    steps.tell(logging.WARNING, "two")
    steps.end()
    steps.follow()
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.INFO, "one"),
        (PROGRESS, "1 of 2"),
        (logging.WARNING, "two"),
    ]
