"""Reads and writes lines of text.  The writer writes whole lines only."""

from __future__ import annotations

import codecs
import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from int8ref.errors import UserError
from int8ref.text.streams import RawFile

MAX_LINE_BYTES = 1 << 20
WITHOUT_TRUNCATION = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)
"""Flags that open an output without truncation, because the file may be in use.

Without O_BINARY, Windows writes two bytes for a line feed.
"""
OTHER_FILES = {
    b"\x1f\x8b": "compressed by gzip: give what zcat makes of it",
    b"\xfd7zXZ\x00": "compressed by xz: give what xzcat makes of it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: give what zstdcat makes of it",
    codecs.BOM_UTF16_LE: "probably UTF-16: give what iconv -f UTF-16 -t UTF-8 makes of it",
    codecs.BOM_UTF16_BE: "probably UTF-16: give what iconv -f UTF-16 -t UTF-8 makes of it",
}
"""First bytes of files that are often given instead of text -> description of the file."""

Warn = Callable[[str], None]


class TextError(UserError, ValueError):
    """The input is no text.  The message names the line and the reason."""


class Lines:
    """Iterates over the lines of `file` as text.  `position` counts the bytes that have been read.

    Only a line feed ends a line.  The last line may lack its line feed.  A carriage return before
    the line feed is not part of the line.  A byte order mark before the first line is not part of
    the text.  A line of more than 1 MiB is cut to its first whole characters, with a warning.
    Raises `TextError` at a line that is not UTF-8.  The warning and the error contain `name`, if
    there is one.
    """

    def __init__(self, file: BinaryIO, warn: Warn, name: str | None = None) -> None:
        self._file = file
        self._warn = warn
        self._name = name
        self.position = 0

    def where(self, number: int) -> str:
        """Return the name of a line in messages.  The first line has the number 1."""
        return f"line {number}" if self._name is None else f"{self._name}: line {number}"

    def __iter__(self) -> Iterator[str]:
        number = 0
        while raw := self._file.readline(MAX_LINE_BYTES):
            number += 1
            self.position += len(raw)
            cut = len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n") and self._skip_rest()
            if cut:
                told = f"only the first {MAX_LINE_BYTES} bytes are read"
                self._warn(f"{self.where(number)}: {told}")
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            try:
                text = codecs.getincrementaldecoder("utf-8")().decode(raw, final=not cut)
            except UnicodeDecodeError as error:
                reason = f"byte {error.start + 1} (0x{raw[error.start]:02x}): {error.reason}"
                told = f"{self.where(number)} is not UTF-8: {reason}{_guess(number, raw)}"
                raise TextError(told) from None
            yield text.removesuffix("\n").removesuffix("\r")

    def _skip_rest(self) -> bool:
        """Skip the rest of the line.  Return whether the rest had any text."""
        skipped = 0
        while raw := self._file.readline(MAX_LINE_BYTES):
            skipped += len(raw)
            if raw.endswith(b"\n"):
                break
        self.position += skipped
        return skipped > 1 or (skipped == 1 and raw != b"\n")


def _guess(number: int, raw: bytes) -> str:
    """Guess the kind of a file whose line with this number is not UTF-8."""
    kinds = [kind for mark, kind in OTHER_FILES.items() if number == 1 and raw.startswith(mark)]
    return f"; the file is {kinds[0]}" if kinds else ""


def split_arguments(arguments: Sequence[str]) -> list[str]:
    """Split each argument into its lines.  Raises `TextError`."""
    texts = [_text(number, argument) for number, argument in enumerate(arguments, start=1)]
    return [line.removesuffix("\r") for text in texts for line in text.split("\n")]


def _text(number: int, argument: str) -> str:
    """Decode an argument as UTF-8.  Raises `TextError`.

    If the locale lacks a character, Python replaces the bytes of the character by surrogates.
    """
    try:
        argument.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(argument).decode()
        except UnicodeError:
            raise TextError(f"argument {number} is not UTF-8") from None
    return argument


class LineWriter:
    """Writes whole lines to a file without a buffer.

    `own`: the file is a new file of this writer.  If the writer cannot write a whole line, it
    removes the part of the line from such a file.  `size`: bytes that the file has before.
    """

    def __init__(self, file: RawFile, own: bool = False, size: int = 0) -> None:
        self._file = file
        self._own = own
        self._written = self._whole = size

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def terminal(self) -> bool:
        """True if the output is a terminal."""
        return self._file.isatty()

    def write(self, lines: Sequence[str]) -> None:
        """Write each line with a line feed, in one system call if the system accepts all bytes."""
        self.write_text("".join(f"{line}\n" for line in lines))

    def write_text(self, text: str) -> None:
        """Write a part of the output, which need not end with a line."""
        rest = memoryview(text.encode())
        while rest:
            try:
                done = self._file.write(rest)
            except OSError:
                self._leave_whole_lines()
                raise
            end = bytes(rest[:done]).rfind(b"\n") + 1
            self._whole = self._written + end if end else self._whole
            self._written += done
            rest = rest[done:]

    def _leave_whole_lines(self) -> None:
        if self._own:
            with contextlib.suppress(OSError):  # a device or a pipe cannot be cut
                os.ftruncate(self._file.fileno(), self._whole)


def open_output(path: str, taken: dict[str, os.stat_result]) -> LineWriter:
    """Truncate the file `path` and return a writer: see `open_file`."""
    return LineWriter(open_file(path, taken), own=True)


def open_file(path: str, taken: dict[str, os.stat_result], kept: int = 0) -> RawFile:
    """Truncate the file `path`, and return it.  Raises `UserError` if the file is in use.

    `taken`: use of a file -> status of the file.  `kept`: bytes that stay; writing goes on there.
    """
    file = RawFile(os.open(path, WITHOUT_TRUNCATION, 0o666), "wb", path, owned=True)
    found = os.fstat(file.fileno())
    if stat.S_ISREG(found.st_mode):
        try:
            _check(path, found, taken, "output")
        except UserError:
            file.close()
            raise
        os.ftruncate(file.fileno(), kept)
        os.lseek(file.fileno(), kept, os.SEEK_SET)
    return file


def check_output(path: str, taken: dict[str, os.stat_result], role: str = "output") -> None:
    """Raise `UserError` if a file that a run will write is in use: see `open_file`."""
    if os.path.exists(path):
        _check(path, os.stat(path), taken, role)


def _check(path: str, found: os.stat_result, taken: dict[str, os.stat_result], role: str) -> None:
    for what, status in taken.items():
        if os.path.samestat(found, status):
            raise UserError(f"{path}: the {role} is the {what} file")
