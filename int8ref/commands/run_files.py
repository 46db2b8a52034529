"""The files of a run: the lines that it reads, its results, and its receipt."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.forms import Items, form_of
from int8ref.commands.outputs import OpenOutputs, Outputs
from int8ref.commands.progress import Progress
from int8ref.commands.spans import Span, of_shard
from int8ref.errors import UserError
from int8ref.host import locks
from int8ref.text.compressed import kind_of
from int8ref.text.lines import LineWriter, check_output, open_file, split_arguments
from int8ref.text.parts import PartWriter
from int8ref.text.streams import STANDARD, RawFile, standard_output

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.commands.npy import NpyWriter
    from int8ref.commands.receipt import Receipt, Sink
    from int8ref.commands.resume import Kept, Measured
    from int8ref.files.models import ModelFile

    Drafts = Iterable[Sequence[int] | None] | None


class RunFiles:
    """The files that a command line names.

    inputs    the input files
    lines     the lines of the input
    complain  gets a message for each line that is too long
    drafts    expected results, one for each line, or None
    span      the lines that are still to be read
    """

    drafts: Drafts = None
    span: Span | None = None
    _measured: Measured | None = None
    _kept: Kept | None = None
    _whole: Span | None = None

    def __init__(self, given: argparse.Namespace, console: Console) -> None:
        self._output, self._receipt, self._console = given.output, given.receipt, console
        self.complain = command.complaints(given.strict, console)
        self.inputs: list[command.InputFile] = []
        self.lines: Iterable[str] = split_arguments(given.text)
        if not given.text:
            path = given.input[0] if given.input else None
            self.inputs = [command.InputFile("input", path, self.complain)]
            self.lines = self.inputs[0].lines
        self.span = self._span(given)

    def _span(self, given: argparse.Namespace) -> Span:
        """Return the lines that are still to be read."""
        first = given.first_line - 1
        if given.shard is None and not given.resume:
            return Span(0, None, first)
        from int8ref.commands import resume

        self._require_file()
        self._measured = resume.measure(self.inputs[0].path)
        self._whole = of_shard(self._measured.lines, given.shard, first)
        given.first_line = self._whole.number + 1  # a receipt and a sidecar have it
        if not given.resume:
            return self._whole
        self._kept = resume.kept(self._output, given.output_format == "nbest", self._whole.number)
        done, most = self._kept.results, self._whole.lines
        if not 0 <= done <= (most or 0):
            raise UserError(f"{self._output}: has {done} results, the run only {most}")
        if done:
            self._console.info(f"{self._output} has {done} of {most} lines; going on")
        return self._whole.after(done)

    def _require_file(self) -> None:
        """Raise `UserError` unless the input can be read twice."""
        if not self.inputs or not self.inputs[0].again:
            raise UserError(
                "--shard and --resume need a plain file as --input, which is read twice"
            )

    def items(self, given: argparse.Namespace) -> Items:
        """Return the items of the lines: texts, or pairs of texts."""
        span = self.span or Span(0, None, given.first_line - 1)
        stop = None if span.lines is None else span.skip + span.lines
        lines = islice(self.lines, span.skip, stop)
        self._items = Items(lines, form_of(given), span.number, self.witnessed, self._where)
        return self._items

    def _where(self, place: int) -> str:
        """Return the name of a line in messages, by its place among the lines that are read."""
        if not self.inputs:
            return f"line {place}"
        return self.inputs[0].lines.where(place + (self.span.skip if self.span else 0))

    @property
    def witnessed(self) -> bool:
        """Whether the run writes a receipt, which needs digests of logits."""
        return self._receipt is not None

    def opener(
        self,
        name: str,
        model: ModelFile,
        parser: argparse.ArgumentParser,
        given: argparse.Namespace,
    ) -> OpenOutputs:
        """Return what opens the output for lines, and the receipt."""

        @contextmanager
        def open_(path: Path) -> Iterator[Outputs]:
            self._begin(name, model, parser, given)
            with (
                self.lines_to(path) as writer,
                self.receipt(name, model, parser, given) as receipt,
            ):
                yield Outputs(writer, self._items.written, self.progress(writer.terminal), receipt)

        return open_

    def _begin(
        self,
        name: str,
        model: ModelFile,
        parser: argparse.ArgumentParser,
        given: argparse.Namespace,
    ) -> None:
        """Check or write the sidecar of a run that can go on."""
        if self._kept is None or self._measured is None or self._whole is None:
            return
        from int8ref.commands import resume
        from int8ref.commands.receipt import identity
        from int8ref.host.storage import write_whole

        own = identity(model, parser, given)
        mine = resume.sidecar(name, own, [self._measured], self._whole.lines or 0)
        if self._kept.found:
            resume.check_sidecar(self._output, mine)
        else:
            sidecar = self._output + resume.END
            check_output(sidecar, command.taken_by(self.inputs, model[0]), "sidecar")
            write_whole(sidecar, resume.encoded(mine))

    def lines_to(self, model: Path) -> Any:
        """Open the output for lines."""
        if self._output == STANDARD:
            return LineWriter(standard_output())
        file, kind = self._opened(model), kind_of(self._output)
        size = self._kept.size if self._kept else 0
        if kind is not None:
            return PartWriter(file, kind, size)
        return LineWriter(file, own=True, size=size)

    def rows_to(self, model: Path, width: int) -> NpyWriter:
        """Open the output for an array of rows of `width` int8."""
        from int8ref.commands.npy import NpyWriter

        return NpyWriter(self._opened(model), width)

    def _opened(self, model: Path) -> RawFile:
        """Open the output file.  Nobody else may write it if it goes on."""
        taken = command.taken_by(self.inputs, model)
        if self._kept is None:
            return open_file(self._output, taken)
        size = os.path.getsize(self._output) if os.path.exists(self._output) else 0
        if size != self._kept.found:
            raise UserError(f"{self._output}: another process writes this file")
        file = open_file(self._output, taken, self._kept.size)
        try:
            locked = locks.lock(file.fileno())
        except OSError:  # a file system without locks
            locked = True
        if not locked:
            file.close()
            raise UserError(f"{self._output}: another process writes this file")
        return file

    def progress(self, terminal: bool) -> Progress:
        """Return the progress of the run, which begins now."""
        total = None if not self.inputs else partial(self._total)
        return Progress(self._console, total, self._done, not terminal)

    @property
    def _done(self) -> int:
        return self._kept.results if self._kept else 0

    def _total(self) -> int | None:
        """Return the number of lines of the run, or None if it is unknown."""
        if self._whole is not None:
            return self._whole.lines
        if not self.inputs[0].again:
            return None
        from int8ref.commands.resume import count_lines

        return count_lines(self.inputs[0].path)

    def receipt(
        self,
        name: Any,
        model: ModelFile,
        parser: argparse.ArgumentParser,
        given: argparse.Namespace,
    ) -> AbstractContextManager[Receipt | None]:
        """Open the receipt of a command.  Without a receipt, the context is None."""
        if not self.witnessed:
            return nullcontext()
        from int8ref.commands.receipt import FIELDS, Receipt, header_of

        header = header_of(name, model, parser, given)
        return Receipt(self._sink(model[0]), self._items.take, FIELDS[name], header)

    def _sink(self, model: Path) -> Sink:
        from int8ref.host.storage import WholeFile

        taken = command.taken_by(self.inputs, model)
        if self._output != STANDARD and os.path.exists(self._output):
            taken["output"] = os.stat(self._output)
        check_output(self._receipt, taken, "receipt")
        return WholeFile(self._receipt)
