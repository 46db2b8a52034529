"""Inputs and outputs of a command.  They wait instead of failing.  Their errors name the file."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from int8ref.errors import UserError

PAUSE_SECONDS = 0.01
STANDARD_ERROR = 2
STANDARD = "-"
"""The path of standard input or standard output."""

Buffer = TypeVar("Buffer")


class RawFile(io.RawIOBase):
    """A file without a buffer, opened by a path or a descriptor.

    A descriptor stays open after `close`, unless the file is `owned`.  If another program has made
    a descriptor non-blocking (as node, ssh and expect do), the methods wait.  On Windows, a console
    reads and writes UTF-8 with every code page.  `name`: name of the file in an `OSError`.
    """

    def __init__(self, file: str | int, mode: str, name: str, owned: bool = False) -> None:
        self._name = name
        self._raw: Any = None  # `close` must work if `open` fails
        with self._named():
            closefd = owned or isinstance(file, str)
            self._raw = open(file, mode, 0, closefd=closefd)  # noqa: SIM115

    def fileno(self) -> int:
        """Implement `io.IOBase`."""
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        """Implement `io.IOBase`."""
        return bool(self._raw.isatty())

    def readable(self) -> bool:
        """Implement `io.IOBase`."""
        return bool(self._raw.readable())

    def writable(self) -> bool:
        """Implement `io.IOBase`."""
        return bool(self._raw.writable())

    def readinto(self, buffer: Any) -> int:
        """Implement `io.RawIOBase`.  Return 0 at the end of the file."""
        return self._now(self._raw.readinto, buffer, ([self._raw], []))

    def write(self, data: Any) -> int:
        """Implement `io.RawIOBase`.  The file may accept only a part of the data."""
        return self._now(self._raw.write, data, ([], [self._raw]))

    def write_all(self, data: bytes) -> None:
        """Write all data, in one system call if the system accepts all bytes."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.write(rest) :]

    def close(self) -> None:
        """Implement `io.IOBase`."""
        if not self.closed:
            super().close()
            if self._raw is not None:
                with self._named():
                    self._raw.close()

    def _now(
        self,
        work: Callable[[Buffer], int | None],
        data: Buffer,
        ready: tuple[list[Any], list[Any]],
    ) -> int:
        """Return the result of `work`.  Wait until `work` is possible."""
        with self._named():
            while (done := work(data)) is None:
                _wait(*ready)
        return done

    @contextlib.contextmanager
    def _named(self) -> Any:
        try:
            yield
        except OSError as error:
            error.filename = self._name
            raise


def _wait(readers: list[Any], writers: list[Any]) -> None:
    """Wait until a file is ready.  If the system cannot report this, wait for a moment."""
    try:
        select.select(readers, writers, [])
    except (OSError, ValueError):  # no socket on Windows, or a descriptor above 1023
        time.sleep(PAUSE_SECONDS)


def open_input(path: str) -> io.BufferedReader:
    """Open a file for reading.  "-" means standard input."""
    if path != STANDARD:
        return io.BufferedReader(RawFile(path, "rb", path))
    if sys.stdin is None:
        raise UserError("there is no standard input")
    return io.BufferedReader(RawFile(sys.stdin.fileno(), "rb", "standard input"))


class Memory(RawFile):
    """A text stream without a descriptor, such as the stream of a notebook."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        """Implement `io.IOBase`."""
        return False

    def write(self, data: Any) -> int:
        """Implement `io.RawIOBase`.  `data` consists of whole characters."""
        self._stream.write(bytes(data).decode())
        return len(data)

    def close(self) -> None:
        """Leave the stream open, because the caller owns it."""


def standard_output() -> RawFile:
    """Return standard output without a buffer.

    `print` reports a failed write only at the end of the process, too late for an exit status.
    """
    if sys.stdout is None:
        raise UserError("there is no standard output")
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, AttributeError):
        return Memory(sys.stdout)
    sys.stdout.flush()
    return RawFile(descriptor, "wb", "standard output")


def tell(text: str) -> None:
    """Write to standard error.  Ignore a failure, because a lost message must not end the run."""
    stream = sys.stderr
    if stream is None:
        return
    with contextlib.suppress(AttributeError, OSError, ValueError):
        try:
            descriptor = stream.fileno()
        except (OSError, AttributeError):  # a stream in memory has no descriptor
            _tell_in_memory(stream, text)
            return
        stream.flush()
        encoded = text.encode(stream.encoding, "backslashreplace")
        RawFile(descriptor, "wb", "standard error").write_all(encoded)


def _tell_in_memory(stream: Any, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        stream.write(text.encode("ascii", "backslashreplace").decode())
    stream.flush()


def described(error: Exception) -> str:
    """Return the message of an error on one line, with the name of the file."""
    if not isinstance(error, OSError) or error.filename is None:
        return str(error)
    return f"{error.filename or repr('')}: {error.strerror}"


def hold_closed_descriptors() -> None:
    """Open the closed standard descriptors on the null device.

    Otherwise a file that is opened later may become descriptor 2.  The messages of a library on
    standard error would then go into this file.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(descriptor)
