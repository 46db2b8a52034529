"""Lines of text in, lines of text out: what a line is, and whole lines only."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from int8ref.errors import UserError

MAX_LINE_BYTES = 1 << 20

Warn = Callable[[str], None]


class TextError(UserError, ValueError):
    """Input that is no text: the message says which line and why."""


class Lines:
    """Iterates over the lines of `file` as text, and counts the bytes it has read in `position`.

    Only a line feed ends a line, and the last line needs none.  A carriage return before it is not
    part of the line.  Of a line of more than 1 MiB only the beginning is kept, in whole characters,
    after a warning.  Raises `TextError` at a line that is not UTF-8.
    """

    def __init__(self, file: BinaryIO, warn: Warn) -> None:
        self._file = file
        self._warn = warn
        self.position = 0

    def __iter__(self) -> Iterator[str]:
        number = 0
        while raw := self._file.readline(MAX_LINE_BYTES):
            number += 1
            self.position += len(raw)
            cut = len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n") and self._skip_rest()
            if cut:
                self._warn(f"line {number}: only the first {MAX_LINE_BYTES} bytes are read")
            try:
                text = codecs.getincrementaldecoder("utf-8")().decode(raw, final=not cut)
            except UnicodeDecodeError as error:
                reason = f"byte {error.start + 1} (0x{raw[error.start]:02x}): {error.reason}"
                raise TextError(f"line {number} is not UTF-8: {reason}") from None
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


def split_arguments(arguments: Sequence[str]) -> list[str]:
    """Lines of text given as arguments, each one line or several.  Raises `TextError`."""
    for number, argument in enumerate(arguments, start=1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise TextError(f"argument {number} is not UTF-8") from None
    return [line.removesuffix("\r") for argument in arguments for line in argument.split("\n")]


class LineWriter:
    """Writes whole lines to a file descriptor, unbuffered: what is written is on its way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, lines: Sequence[str]) -> None:
        """Each line and its line feed, in one system call where the system takes it in one."""
        rest = memoryview("".join(f"{line}\n" for line in lines).encode())
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def open_output(path: str, taken: dict[str, os.stat_result]) -> int:
    """A descriptor of the emptied file `path`; raises `UserError` where that file is in use.

    `taken`: what a file is in use for -> its status.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        for what, status in taken.items():
            if os.path.samestat(found, status):
                os.close(descriptor)
                raise UserError(f"{path}: the output is the {what} file")
        os.ftruncate(descriptor, 0)
    return descriptor
