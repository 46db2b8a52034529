"""What the commands have in common: streams in, results out, errors, signals, exit statuses."""

from __future__ import annotations

import argparse
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from int8ref.console import Console
from int8ref.counts import Counts
from int8ref.errors import UserError
from int8ref.lines import Lines, LineWriter, TextError, Warn, open_output

if TYPE_CHECKING:  # loaded on first use: help and errors of usage must answer at once
    from pathlib import Path

    from int8ref.model_file import Model
    from int8ref.results import Result
    from int8ref.translator import Translator


class InputFile:
    """A file, or stdin for "-", as lines; `complain` is told of lines that are too long.

    `what`: what the file is to the user, such as "input".
    """

    def __init__(self, what: str, path: str, complain: Warn) -> None:
        file = _open_input(path)
        self.what = what
        self.status = os.fstat(file.fileno())
        self.terminal = file.isatty()
        self.lines = Lines(file, complain)

    @property
    def size(self) -> int:
        """Bytes of the file, 0 where that is not known."""
        return self.status.st_size if stat.S_ISREG(self.status.st_mode) else 0


def _open_input(path: str) -> BinaryIO:
    if path != "-":
        return open(path, "rb")
    if sys.stdin is None:
        raise UserError("there is no standard input")
    return open(sys.stdin.fileno(), "rb", closefd=False)


def complaints(strict: bool, console: Console) -> Warn:
    """What becomes of a line that is too long: a warning, or the end of the run."""

    def refuse(message: str) -> None:
        raise TextError(f"{message}; --strict ends the run")

    return refuse if strict else console.warning


def deliver(
    given: argparse.Namespace,
    console: Console,
    inputs: Sequence[InputFile],
    model: tuple[Path, Model],
    results_of: Callable[[Translator], Iterator[list[Result]]],
    lines_of: Callable[[int, Result], list[str]],
) -> None:
    """Write the lines of all results, as they come."""
    from int8ref.translator import Speed, Translator

    path, content = model
    speed = Speed(given.batch_size, given.threads, given.buffer_size)
    translator = Translator(content, given.backend, speed)
    output = open_results(given.output, inputs, path)
    console.debug(f"model {content.name} from {path}, {given.backend} backend, {speed}")
    invite(inputs, console)
    console.start_progress(not os.isatty(output))
    writer, counts = LineWriter(output), Counts()
    for results in results_of(translator):
        numbered = enumerate(results, counts.lines)
        writer.write([line for number, result in numbered for line in lines_of(number, result)])
        counts.add(results)
        console.progress(partial(_progress, counts.lines, inputs))
    console.clear()
    if given.stats:
        console.say(counts.describe())


def invite(inputs: Sequence[InputFile], console: Console) -> None:
    """Tell who sits at a terminal that input is waited for."""
    if any(file.terminal for file in inputs):
        console.info("reading from the terminal, a sentence a line; Ctrl-D ends")


def open_results(path: str, inputs: Sequence[InputFile], model: Path) -> int:
    """A descriptor of the output, stdout for "-"; raises UserError where it is another file of the
    run."""
    if path != "-":
        return open_output(path, {**{i.what: i.status for i in inputs}, "model": model.stat()})
    return standard_output()


def standard_output() -> int:
    """The descriptor of stdout.  What `print` cannot write is told too late for an exit status."""
    if sys.stdout is None:
        raise UserError("there is no standard output")
    return sys.stdout.fileno()


def _progress(done: int, inputs: Sequence[InputFile], seconds: float) -> str:
    read = sum(file.lines.position for file in inputs)
    size = sum(file.size for file in inputs)
    share = f", {100 * read // size} % of the input read" if size else ""
    return f"{done} lines, {done / seconds:.1f} lines/s{share}"


def run(body: Callable[[Console], None], log_level: str) -> int:
    """The exit status of `body`: 0, or 1 after an error, which is told in one line."""
    console = Console(log_level)
    try:
        body(console)
    except OSError as error:
        console.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1
    except UserError as error:
        console.error(str(error))
        return 1
    except KeyboardInterrupt:
        console.clear()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    return 0


def end_quietly_with_the_reader() -> None:
    """A reader that leaves ends this process, without a word."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
