"""The files of a run: the lines that it reads, its results, and its receipt."""

from __future__ import annotations

import argparse
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.outputs import OpenOutputs, Outputs
from int8ref.text.lines import LineWriter, check_output, open_file, split_arguments
from int8ref.text.streams import STANDARD

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.commands.npy import NpyWriter
    from int8ref.commands.receipt import CommandName, Receipt, Sink
    from int8ref.files.model_file import Model

    Drafts = Iterable[Sequence[int] | None] | None


class Remembered:
    """Iterates over lines, and remembers the lines that no result has taken yet."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self._waiting: deque[str] = deque()

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._waiting.append(line)
            yield line

    def take(self) -> str:
        """Return the first remembered line, and forget it."""
        return self._waiting.popleft()


@contextmanager
def open_outputs(
    output: str, inputs: Sequence[command.InputFile], model: Path
) -> Iterator[Outputs]:
    """Open the output of a run without a receipt."""
    with command.open_results(output, inputs, model) as writer:
        yield Outputs(writer)


class RunFiles:
    """The files that a command line names.

    inputs    the input files
    lines     the texts
    complain  gets a message for each line that is too long
    drafts    expected results, one for each line, or None
    """

    drafts: Drafts = None

    def __init__(self, given: argparse.Namespace, console: Console) -> None:
        self._output, self._receipt = given.output, given.receipt
        self.complain = command.complaints(given.strict, console)
        self.inputs: list[command.InputFile] = []
        self.lines: Iterable[str] = split_arguments(given.text)
        if not given.text:
            self.inputs = [command.InputFile("input", given.input, self.complain)]
            self.lines = self.inputs[0].lines
        if self.witnessed:
            self.lines = Remembered(self.lines)

    @property
    def witnessed(self) -> bool:
        """Whether the run writes a receipt, which needs digests of logits."""
        return self._receipt is not None

    def opener(
        self,
        name: CommandName,
        model: tuple[Path, Model],
        parser: argparse.ArgumentParser,
        given: argparse.Namespace,
    ) -> OpenOutputs:
        """Return what opens the output for lines, and the receipt."""

        @contextmanager
        def open_(path: Path) -> Iterator[Outputs]:
            with (
                self.lines_to(path) as writer,
                self.receipt(name, model, parser, given) as receipt,
            ):
                yield Outputs(writer, receipt)

        return open_

    def lines_to(self, model: Path) -> LineWriter:
        """Open the output for lines."""
        return command.open_results(self._output, self.inputs, model)

    def rows_to(self, model: Path, width: int) -> NpyWriter:
        """Open the output for an array of rows of `width` int8."""
        from int8ref.commands.npy import NpyWriter

        taken = command.taken_by(self.inputs, model)
        return NpyWriter(open_file(self._output, taken), width)

    def receipt(
        self,
        name: CommandName,
        model: tuple[Path, Model],
        parser: argparse.ArgumentParser,
        given: argparse.Namespace,
    ) -> AbstractContextManager[Receipt | None]:
        """Open the receipt of a command.  Without a receipt, the context is None."""
        if not self.witnessed:
            return nullcontext()
        from int8ref.commands.receipt import FIELDS, Receipt, header_of

        header = header_of(name, model, parser, given)
        assert isinstance(self.lines, Remembered)
        return Receipt(self._sink(model[0]), self.lines.take, FIELDS[name], header)

    def _sink(self, model: Path) -> Sink:
        from int8ref.host.storage import WholeFile

        taken = command.taken_by(self.inputs, model)
        if self._output != STANDARD and os.path.exists(self._output):
            taken["output"] = os.stat(self._output)
        check_output(self._receipt, taken, "receipt")
        return WholeFile(self._receipt)
