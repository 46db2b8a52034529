"""Lines of text in, lines of text out: what a line is, and whole lines only."""

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
"""How an output is opened, whose content must stay where it turns out to be in use.  Without
O_BINARY Windows makes two bytes of a line feed."""
OTHER_FILES = {
    b"\x1f\x8b": "compressed by gzip: give what zcat makes of it",
    b"\xfd7zXZ\x00": "compressed by xz: give what xzcat makes of it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: give what zstdcat makes of it",
    codecs.BOM_UTF16_LE: "probably UTF-16: give what iconv -f UTF-16 -t UTF-8 makes of it",
    codecs.BOM_UTF16_BE: "probably UTF-16: give what iconv -f UTF-16 -t UTF-8 makes of it",
}
"""How a file begins that is often given for a text, and what it is."""

Warn = Callable[[str], None]


class TextError(UserError, ValueError):
    """Input that is no text: the message says which line and why."""


class Lines:
    """Iterates over the lines of `file` as text, and counts the bytes it has read in `position`.

    Only a line feed ends a line, and the last line needs none.  A carriage return before it is not
    part of the line, a byte order mark before the first line is not part of the text.  Of a line of
    more than 1 MiB only the beginning is kept, in whole characters, after a warning.  Raises
    `TextError` at a line that is not UTF-8.  Both name the file, if it has a `name`.
    """

    def __init__(self, file: BinaryIO, warn: Warn, name: str | None = None) -> None:
        self._file = file
        self._warn = warn
        self._name = name
        self.position = 0

    def where(self, number: int) -> str:
        """What a line is called, numbers from 1 on."""
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
        """Read on to the end of the line; whether there was any more."""
        skipped = 0
        while raw := self._file.readline(MAX_LINE_BYTES):
            skipped += len(raw)
            if raw.endswith(b"\n"):
                break
        self.position += skipped
        return skipped > 1 or (skipped == 1 and raw != b"\n")


def _guess(number: int, raw: bytes) -> str:
    """What a file seems to be whose line with this number is no text."""
    kinds = [kind for mark, kind in OTHER_FILES.items() if number == 1 and raw.startswith(mark)]
    return f"; the file is {kinds[0]}" if kinds else ""


def split_arguments(arguments: Sequence[str]) -> list[str]:
    """Lines of text given as arguments, each one line or several.  Raises `TextError`."""
    texts = [_text(number, argument) for number, argument in enumerate(arguments, start=1)]
    return [line.removesuffix("\r") for text in texts for line in text.split("\n")]


def _text(number: int, argument: str) -> str:
    """An argument; where the locale has not the characters, Python hands over bytes in disguise."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(argument).decode()
        except UnicodeError:
            raise TextError(f"argument {number} is not UTF-8") from None
    return argument


class LineWriter:
    """Writes whole lines to a file, unbuffered: what is written is on its way.

    `own`: the file is a new one of this writer.  Where the rest of a line cannot be written, what
    there is of the line is taken away.
    """

    def __init__(self, file: RawFile, own: bool = False) -> None:
        self._file = file
        self._own = own
        self._written = self._whole = 0

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def terminal(self) -> bool:
        """Whether a person reads at once what is written."""
        return self._file.isatty()

    def write(self, lines: Sequence[str]) -> None:
        """Each line and its line feed, in one system call where the system takes it in one."""
        rest = memoryview("".join(f"{line}\n" for line in lines).encode())
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
            with contextlib.suppress(OSError):  # a device or a pipe, which cannot be cut
                os.ftruncate(self._file.fileno(), self._whole)


def open_output(path: str, taken: dict[str, os.stat_result]) -> LineWriter:
    """A writer of the emptied file `path`; raises `UserError` where that file is in use.

    `taken`: what a file is in use for -> its status.
    """
    file = RawFile(os.open(path, WITHOUT_TRUNCATION, 0o666), "wb", path, owned=True)
    found = os.fstat(file.fileno())
    if stat.S_ISREG(found.st_mode):
        for what, status in taken.items():
            if os.path.samestat(found, status):
                file.close()
                raise UserError(f"{path}: the output is the {what} file")
        os.ftruncate(file.fileno(), 0)
    return LineWriter(file, own=True)
