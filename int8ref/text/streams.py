"""What a command reads and writes: files that wait where they would block, and that name themselves
in what goes wrong."""

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
"""The path that stands for stdin, or stdout."""

Buffer = TypeVar("Buffer")


class RawFile(io.RawIOBase):
    """A file without a buffer, by its path or its descriptor; that stays open unless it is `owned`.

    A descriptor that another program has made non-blocking (node, ssh and expect do) is waited for.
    On Windows a console is given and gives its text as UTF-8, whatever its code page is.
    `name`: what the file is called in an `OSError`.
    """

    def __init__(self, file: str | int, mode: str, name: str, owned: bool = False) -> None:
        self._name = name
        self._raw: Any = None  # until there is one: what is not opened is closed too
        with self._named():
            closefd = owned or isinstance(file, str)
            self._raw = open(file, mode, 0, closefd=closefd)  # noqa: SIM115

    def fileno(self) -> int:
        """See `io.IOBase`."""
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        """See `io.IOBase`."""
        return bool(self._raw.isatty())

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return bool(self._raw.readable())

    def writable(self) -> bool:
        """See `io.IOBase`."""
        return bool(self._raw.writable())

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`; 0 is the end of the file."""
        return self._now(self._raw.readinto, buffer, ([self._raw], []))

    def write(self, data: Any) -> int:
        """See `io.RawIOBase`; part of the data may be written."""
        return self._now(self._raw.write, data, ([], [self._raw]))

    def write_all(self, data: bytes) -> None:
        """All of the data, in one system call where the system takes it in one."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.write(rest) :]

    def close(self) -> None:
        """See `io.IOBase`."""
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
        """What `work` has done, as soon as there is something to do."""
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
    """Wait until one of these files is ready, or a moment where the system cannot tell."""
    try:
        select.select(readers, writers, [])
    except (OSError, ValueError):  # Windows: no socket; other systems: a descriptor above 1023
        time.sleep(PAUSE_SECONDS)


def open_input(path: str) -> io.BufferedReader:
    """A file to read, stdin for "-"."""
    if path != STANDARD:
        return io.BufferedReader(RawFile(path, "rb", path))
    if sys.stdin is None:
        raise UserError("there is no standard input")
    return io.BufferedReader(RawFile(sys.stdin.fileno(), "rb", "standard input"))


class Memory(RawFile):
    """A stream of text without a descriptor, such as that of a notebook or of `redirect_stdout`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        """See `io.IOBase`."""
        return False

    def write(self, data: Any) -> int:
        """See `io.RawIOBase`; `data` is whole characters."""
        self._stream.write(bytes(data).decode())
        return len(data)

    def close(self) -> None:
        """Leave the stream open: it is not ours."""


def standard_output() -> RawFile:
    """Stdout.  What `print` cannot write is told too late for an exit status."""
    if sys.stdout is None:
        raise UserError("there is no standard output")
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, AttributeError):
        return Memory(sys.stdout)
    sys.stdout.flush()
    return RawFile(descriptor, "wb", "standard output")


def tell(text: str) -> None:
    """Write to stderr.  Where nobody can be told, nobody is: that is no reason to end."""
    stream = sys.stderr
    if stream is None:
        return
    with contextlib.suppress(AttributeError, OSError, ValueError):
        try:
            descriptor = stream.fileno()
        except (OSError, AttributeError):  # a stream in memory has none
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
    """What went wrong, and with which file, on one line."""
    if not isinstance(error, OSError) or error.filename is None:
        return str(error)
    return f"{error.filename or repr('')}: {error.strerror}"


def hold_closed_descriptors() -> None:
    """Give the standard descriptors that are closed to nobody.

    Else a file that is opened later becomes, say, descriptor 2, and is written what a library tells
    on stderr.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(descriptor)
