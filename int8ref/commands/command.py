"""Runs a command: input streams, results, errors, signals, exit statuses."""

from __future__ import annotations

import argparse
import os
import signal
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from int8ref.commands.arguments import wanted_model
from int8ref.commands.console import Console
from int8ref.commands.counts import Counts, of_a_batch
from int8ref.errors import UserError
from int8ref.options import OptionError
from int8ref.text.lines import Lines, LineWriter, TextError, Warn, open_output
from int8ref.text.streams import (
    STANDARD,
    described,
    hold_closed_descriptors,
    open_input,
    standard_output,
)

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from pathlib import Path

    from int8ref.commands.outputs import OpenOutputs
    from int8ref.files.model_file import Model
    from int8ref.results import Result
    from int8ref.translator import Translator


class InputFile:
    """An input file as lines.  "-" and None mean standard input.

    `what`: name of the input in messages, such as "input".  `complain` gets a message for each line
    that is too long.
    """

    def __init__(self, what: str, path: str | None, complain: Warn) -> None:
        path = STANDARD if path is None else path
        file = open_input(path)
        self.what = what
        self.status = os.fstat(file.fileno())
        self.terminal = file.isatty()
        self.lines = Lines(file, complain, None if path == STANDARD else path)

    @property
    def size(self) -> int:
        """Size of the file in bytes, or 0 if the size is unknown."""
        return self.status.st_size if stat.S_ISREG(self.status.st_mode) else 0


def complaints(strict: bool, console: Console) -> Warn:
    """Return the function that handles a line that is too long: it warns, or ends the run."""

    def refuse(message: str) -> None:
        raise TextError(f"{message}; --strict ends the run")

    return refuse if strict else console.warning


def load_model(given: argparse.Namespace, console: Console) -> tuple[Path, Model]:
    """Return the file and the content of the model that a command line asks for."""
    from int8ref.engines.backends import prepare_backend
    from int8ref.files import models

    begin = partial(prepare_backend, given.backend)
    return models.load_model(wanted_model(given), console.info, begin)


def deliver(
    given: argparse.Namespace,
    console: Console,
    inputs: Sequence[InputFile],
    model: tuple[Path, Model],
    results_of: Callable[[Translator], Iterator[list[Result]]],
    lines_of: Callable[[int, Result], list[str]],
    open_: OpenOutputs,
) -> None:
    """Write the lines of all results as soon as they are ready."""
    from int8ref.translation.ready import Speed
    from int8ref.translator import Translator

    path, content = model
    speed = Speed(given.batch_size, given.threads, given.buffer_size)
    translator = Translator(content, given.backend, speed)
    found = results_of(translator)  # may reject the options, so the output is not emptied yet
    console.debug(f"model {content.name} from {path}, {given.backend} backend, {speed}")
    counts = Counts()
    with open_(path) as outputs:
        invite(inputs, console)
        console.start_progress(not outputs.terminal)
        try:
            for results in found:
                numbered = enumerate(results, counts.lines)
                outputs.write(results, [lines_of(n, result) for n, result in numbered])
                counts.add(results)
                console.progress(partial(_progress, counts.lines, inputs))
        finally:
            counts.unknown.tell(console.warning)
    console.clear()
    if given.stats:
        console.say(counts.describe() + of_a_batch(translator.threads_of_a_batch))


def invite(inputs: Sequence[InputFile], console: Console) -> None:
    """Inform a user at a terminal that the command waits for input."""
    if any(file.terminal for file in inputs):
        console.info("reading from the terminal, a sentence a line; Ctrl-D ends")


def open_results(path: str, inputs: Sequence[InputFile], model: Path) -> LineWriter:
    """Open the output.  "-" means standard output.

    Raises `UserError` if the output is another file of the run.
    """
    if path == STANDARD:
        return LineWriter(standard_output())
    return open_output(path, taken_by(inputs, model))


def taken_by(inputs: Sequence[InputFile], model: Path) -> dict[str, os.stat_result]:
    """Return the files of a run that no output may replace: their use -> their status."""
    from int8ref.files.shortlist import beside

    taken = {file.what: file.status for file in inputs} | {"model": model.stat()}
    lists = beside(model)
    return taken | ({"shortlist": lists.stat()} if lists.exists() else {})


def _progress(done: int, inputs: Sequence[InputFile], seconds: float) -> str:
    read = sum(file.lines.position for file in inputs)
    size = sum(file.size for file in inputs)
    share = f", {100 * read // size} % of the input read" if size else ""
    return f"{done} lines, {done / seconds:.1f} lines/s{share}"


def run(body: Callable[[Console], None], log_level: str) -> int:
    """Run `body`.  Return the exit status of the command.

    0  success
    1  an error, which is reported in one line
    2  the options do not fit the model
    """
    console = Console(log_level)
    try:
        body(console)
    except (OSError, UserError) as error:
        console.error(described(error))
        return 2 if isinstance(error, OptionError) else 1
    except KeyboardInterrupt:
        console.clear()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    return 0


def begin() -> None:
    """Prepare the process of a command.

    If the reader closes the output, the process ends silently.
    """
    hold_closed_descriptors()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
