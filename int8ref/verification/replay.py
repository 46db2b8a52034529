"""Runs a receipt again: the command of the receipt reads its texts, and its records are compared.

The command itself produces both receipts.  It reads its lines from the first receipt, and writes
its records into a comparison.  Memory does not depend on the number of lines.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NoReturn, TypeVar

import msgspec

from int8ref import classify, embed, generate, translate
from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.named import named
from int8ref.commands.receipt import (
    FIELDS,
    CommandName,
    Header,
    Receipt,
    SealedEnd,
    SealedHeader,
    SealedRecord,
    header_of,
)
from int8ref.commands.run_files import RunFiles
from int8ref.commands.settings import arguments_of
from int8ref.errors import ModelError, UserError
from int8ref.files.models import ModelFile
from int8ref.options import OptionError
from int8ref.text.lines import MAX_LINE_BYTES
from int8ref.text.streams import open_input
from int8ref.verification.difference import DifferenceError, Place, differences
from int8ref.verification.published import LinesChecked, RowsChecked, Unchecked, input_checked

COMMANDS: dict[CommandName, ModuleType] = {
    "translate": translate,
    "generate": generate,
    "embed": embed,
    "classify": classify,
}
MAX_RECEIPT_LINE = 32 * MAX_LINE_BYTES
"""Largest size of a line: JSON makes at most six bytes of one, and 64 translations are short."""
END = b'{"lines":'
"""The first bytes of the last line."""
NUMBERED = {"results": "translation", "tokens": "token"}

Line = TypeVar("Line", SealedHeader, SealedRecord, SealedEnd)


class ReceiptReader:
    """Reads a receipt.  Yields the texts of its records.

    header   the first line
    waiting  lines that were read and not yet compared
    drafts   expected results of the records that were read: token ids, or None
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO = open_input(path)
        self.waiting: deque[bytes] = deque()
        self.drafts: deque[list[int] | None] = deque()
        self.header = self._decoded(self._next(1), SealedHeader, 1)
        self.tokens = self.lines = 0

    def __iter__(self) -> Iterator[str]:
        number = 2
        while not (raw := self._next(number)).startswith(END):
            record = self._decoded(raw, SealedRecord, number)
            if "\n" in record.input or len(record.input.encode()) > MAX_LINE_BYTES:
                raise UserError(f"{self._path}: line {number}: the input is no line of text")
            results = record.results if isinstance(record.results, list) else []
            self.drafts.append(results[0].tokens if len(results) == 1 else None)
            self.tokens += sum(len(result.tokens) for result in results)
            self.lines += 1
            yield record.input
            number += 1
        self._decoded(raw, SealedEnd, number)
        if self._file.read(1):
            raise UserError(f"{self._path}: lines follow line {number}, which ends the receipt")

    def drafted(self) -> Iterator[list[int] | None]:
        """Yield the expected result of each record, after its text was read."""
        while self.drafts:
            yield self.drafts.popleft()

    def _next(self, number: int) -> bytes:
        raw = self._file.readline(MAX_RECEIPT_LINE)
        if not raw.endswith(b"\n"):
            what = "has no line feed" if raw else "is missing"
            raise UserError(f"{self._path}: line {number} {what}: the receipt is not whole")
        self.waiting.append(raw)
        return raw

    def _decoded(self, raw: bytes, kind: type[Line], number: int) -> Line:
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise UserError(f"{self._path}: line {number} is damaged: {error}") from None


class Comparison:
    """Compares the lines of a receipt with the lines of a reader."""

    def __init__(self, reader: ReceiptReader) -> None:
        self._reader = reader
        self._number = 0
        self.seal = ""

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def commit(self) -> None:
        """Implement `receipt.Sink`."""

    def write(self, content: bytes) -> None:
        """Implement `receipt.Sink`.  Raises `DifferenceError`."""
        self._number += 1
        theirs = self._reader.waiting.popleft()
        if theirs != content:
            told = f"line {self._number} of the receipt"
            raise DifferenceError(f"{told}, {described(theirs, content)}")
        self.seal = json.loads(content)["seal"]


def described(theirs: bytes, ours: bytes) -> str:
    """Describe the first difference of two lines that are JSON."""
    for place, wrong, right in differences(json.loads(theirs), json.loads(ours)):
        if place == ("seal",):
            return "seal: the line was changed after the run, because it has another seal now"
        return f"{_named(place)}: the receipt has {wrong}, this run gives {right}"
    return "the line is not in the form that int8ref writes"


def _named(place: Place) -> str:
    """Name a place, such as "translation 2, token 5"."""
    names: list[str] = []
    for at, step in enumerate(place):
        if isinstance(step, int):
            names[-1] = f"{NUMBERED.get(str(place[at - 1]), names[-1])} {step + 1}"
        else:
            names.append(step)
    return ", ".join(names)


class Replay(RunFiles):
    """The files of a run whose lines come from a receipt, and whose results are compared."""

    def __init__(self, reader: ReceiptReader, given: argparse.Namespace, console: Console) -> None:
        self._reader, self._output, self._console = reader, given.against_output, console
        self.comparison = Comparison(reader)
        self.complain = console.warning
        self.inputs = []
        self.drafts = reader.drafted()
        self.lines = reader
        if given.against_input is not None:
            file = command.InputFile("input", given.against_input, self.complain)
            self.lines = input_checked(reader, file.lines, given.against_input)

    @property
    def witnessed(self) -> bool:
        """See `RunFiles.witnessed`."""
        return True

    def lines_to(self, model: Path) -> Any:
        """Compare lines with the file that was published, if the user names it."""
        return Unchecked() if self._output is None else LinesChecked(self._output)

    def rows_to(self, model: Path, width: int) -> Any:
        """Compare rows with the array that was published, if the user names it."""
        return Unchecked() if self._output is None else RowsChecked(self._output, width)

    def receipt(
        self,
        name: CommandName,
        model: ModelFile,
        parser: argparse.ArgumentParser,
        given: argparse.Namespace,
    ) -> AbstractContextManager[Receipt]:
        """Compare the records with the receipt.  The version of int8ref may differ."""
        header = header_of(name, model, parser, given)
        same = msgspec.structs.replace(header, int8ref=self._reader.header.int8ref)
        return Receipt(self.comparison, self._items.take, FIELDS[name], same)


def replay(path: str, given: argparse.Namespace, console: Console) -> str:
    """Run a receipt again.  Return one line that says what was accepted.

    `given`: the command line of the verification.  Raises `DifferenceError` for the first
    difference, and `UserError` for a file that is no receipt.
    """
    reader = ReceiptReader(path)
    files = Replay(reader, given, console)
    try:
        _run(reader.header, given, console, files)
    except (OptionError, ModelError) as error:
        raise UserError(f"{path}: line 1: {error}") from None
    return _accepted(reader.header, reader, files.comparison.seal)


def _run(header: Header, given: argparse.Namespace, console: Console, files: RunFiles) -> None:
    """Run the command of a receipt."""
    module = COMMANDS[header.command]
    parser = module.parser()
    parser.error = _refuse
    own = {
        "--model": given.model or named(header.model, header.sha256),
        "--backend": given.backend,
        "--batch-size": given.batch_size,
        "--threads": given.threads,
        "--log-level": given.log_level,
    }
    arguments = [f"{name}={value}" for name, value in own.items()]
    settings = parser.parse_args([*arguments, *arguments_of(parser, header.options)])
    module.check(parser, settings)
    module.run(settings, console, files)


def _refuse(message: str) -> NoReturn:
    raise OptionError(f"the options of the receipt: {message}")


def _accepted(header: Header, reader: ReceiptReader, seal: str) -> str:
    tokens = f", {reader.tokens} tokens" if header.command in ("translate", "generate") else ""
    return f"accepted: {header.command}, {reader.lines} lines{tokens}, {header.model}, seal {seal}"
