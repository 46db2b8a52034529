"""Runs a command: input streams, results, errors, signals, exit statuses."""

from __future__ import annotations

import argparse
import os
import signal
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from int8ref.commands.arguments.model import wanted_model
from int8ref.commands.console import Console
from int8ref.commands.counts import Counts, of_a_batch
from int8ref.errors import UserError
from int8ref.options import OptionError
from int8ref.text.compressed import opened
from int8ref.text.lines import Lines, TextError, Warn
from int8ref.text.streams import (
    STANDARD,
    described,
    hold_closed_descriptors,
    open_input,
)

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from pathlib import Path

    from int8ref.commands.outputs import OpenOutputs
    from int8ref.files.models import ModelFile
    from int8ref.files.wanted import WantedModel
    from int8ref.pivot import Pivot
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
        self.path = path
        self.lines = Lines(opened(file, path), complain, None if path == STANDARD else path)

    @property
    def again(self) -> bool:
        """Whether the file can be read more than once."""
        return self.path != STANDARD and stat.S_ISREG(self.status.st_mode)


def complaints(strict: bool, console: Console) -> Warn:
    """Return the function that handles a line that is too long: it warns, or ends the run."""

    def refuse(message: str) -> None:
        raise TextError(f"{message}; --strict ends the run")

    return refuse if strict else console.warning


def load_models(given: argparse.Namespace, console: Console) -> list[ModelFile]:
    """Return the files and the contents of the models in a row, or of the one model.

    Raises `UserError` if the output is the file of a model.
    """
    loaded: list[ModelFile] | None = getattr(given, "loaded", None)
    if loaded is not None:
        return loaded
    from int8ref.files.wanted import WantedModel, pivot_names
    from int8ref.text.lines import check_output

    names = pivot_names(given.model)
    wanted = [WantedModel(name) for name in names] if names else [wanted_model(given)]
    found = [_load(one, given, console) for one in wanted]
    for path, _ in found[1:]:
        check_output(given.output, {"model": path.stat()})
    return found


def ready(given: argparse.Namespace, models: Sequence[ModelFile]) -> Translator | Pivot:
    """Return the translator of a command line, with its speed."""
    from int8ref.pivot import Pivot
    from int8ref.translation.ready import Speed
    from int8ref.translator import Translator

    speed = Speed(given.batch_size, given.threads, given.buffer_size)
    steps = [Translator(model, given.backend, speed) for _, model in models]
    return Pivot(steps) if len(steps) > 1 else steps[0]


def load_model(given: argparse.Namespace, console: Console) -> ModelFile:
    """Return the file and the content of the model that a command line asks for."""
    loaded: list[ModelFile] | None = getattr(given, "loaded", None)
    if loaded is not None:
        return loaded[0]
    return _load(wanted_model(given), given, console)


def _load(wanted: WantedModel, given: argparse.Namespace, console: Console) -> ModelFile:
    from int8ref.engines.backends import prepare_backend
    from int8ref.files import models

    begin = partial(prepare_backend, given.backend)
    return models.load_model(wanted, console.info, begin)


def deliver(
    given: argparse.Namespace,
    console: Console,
    inputs: Sequence[InputFile],
    models: Sequence[ModelFile],
    results_of: Callable[[Any], Iterator[list[Result]]],
    lines_of: Callable[[int, Result], list[str]],
    open_: OpenOutputs,
    first: int,
) -> None:
    """Write the lines of all results as soon as they are ready.

    `results_of` gets the translator, or the `Pivot` of several models.  `first`: number of the
    first line, from 0.
    """
    translator = ready(given, models)
    found = results_of(translator)  # may reject the options, so the output is not emptied yet
    for path, content in models:
        console.debug(f"model {content.name} from {path}, {given.backend} backend")
    counts = Counts()
    with open_(models[0][0]) as outputs:
        invite(inputs, console)
        try:
            for results in found:
                numbered = enumerate(results, first + counts.lines)
                outputs.write(results, [lines_of(n, result) for n, result in numbered])
                counts.add(results)
        finally:
            counts.unknown.tell(console.warning)
    console.clear()
    if given.stats:
        console.say(counts.describe() + of_a_batch(translator.threads_of_a_batch))


def invite(inputs: Sequence[InputFile], console: Console) -> None:
    """Inform a user at a terminal that the command waits for input."""
    if any(file.terminal for file in inputs):
        console.info("reading from the terminal, a sentence a line; Ctrl-D ends")


def taken_by(inputs: Sequence[InputFile], model: Path) -> dict[str, os.stat_result]:
    """Return the files of a run that no output may replace: their use -> their status."""
    from int8ref.files.shortlist import beside

    taken = {file.what: file.status for file in inputs} | {"model": model.stat()}
    lists = beside(model)
    return taken | ({"shortlist": lists.stat()} if lists.exists() else {})


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

    If the reader closes the output, the process ends silently.  NumPy starts no threads for
    products of floats, because int8ref has none, and the threads take half of the time in which
    NumPy is imported.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    hold_closed_descriptors()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
