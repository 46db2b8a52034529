"""Processes that compile the machine together, one for each processor.

Each process is a child that runs `build`.  It sends the number of parts.  Then it compiles one part
after the other; each time it gets the next part that no other process has.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

import msgspec

from int8ref.host import child
from int8ref.host.cpu import SETTINGS
from int8ref.machine.toolchain.objects import ObjectFile

LENGTH_BYTES = 8
PATIENCE_SECONDS = 60
"""Time in which a process must end after its last message."""
MAX_BYTES = 1 << 26
"""Largest size of a message."""
MAX_PARTS = 256
"""Largest number of parts, because the number of a part is one byte."""
CRASHES = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGABRT", "SIGFPE")

Told = Callable[[int, int], object]
"""Receives the number of finished parts, and the number of all parts."""
T = TypeVar("T")


class CrashError(Exception):
    """A signal ended a compiler; the message names the signal.  This process would crash too."""


def compile_elsewhere(count: int, tell: Told) -> list[ObjectFile]:
    """Compile all parts in `count` processes.

    Raises OSError or ValueError if a process fails, and `CrashError` if a signal ends it.
    """
    work = _Work(tell)
    threads = [threading.Thread(target=work.share, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in work.errors:
        raise error
    return work.parts


class _Work:
    """The finished parts, and the numbers of the other parts."""

    def __init__(self, tell: Told) -> None:
        self.parts: list[ObjectFile] = []
        self.errors: list[Exception] = []
        self._tell = tell
        self._numbers = iter(range(MAX_PARTS))

    def share(self) -> None:
        """Let a child compile parts until no part is left, or until a child fails."""
        try:
            with child.running(
                "int8ref.machine.toolchain.build",
                changes=settings(),
                cwd=os.path.dirname(__file__),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                self._share_with(process)
        except subprocess.TimeoutExpired as error:
            self.errors.append(ValueError(str(error)))
        except Exception as error:
            self.errors.append(error)

    def _share_with(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        try:
            total = receive(process.stdout, int)
            for number in self._numbers:
                if number >= total or self.errors:
                    return
                process.stdin.write(bytes([number]))
                self.parts.append(receive(process.stdout, ObjectFile))
                self._tell(len(self.parts), total)
        except (EOFError, BrokenPipeError):
            status = process.wait(PATIENCE_SECONDS)
            ended_by = signal.Signals(-status).name if status < 0 else ""
            if ended_by in CRASHES:
                raise CrashError(ended_by) from None
            raise ValueError(f"exit status {status}") from None


def settings() -> dict[str, str | None]:
    """Changes of the environment of a compiler, which remove settings that could change its code or
    output.

    The code may depend only on the things that its digest covers.
    """
    ours = (name for name in os.environ if name.startswith("NUMBA_"))
    return dict.fromkeys(name for name in ours if name not in SETTINGS)


def send(output: BinaryIO, content: Any) -> None:
    """Send a message, with its length before it."""
    message = msgspec.msgpack.encode(content)
    output.write(len(message).to_bytes(LENGTH_BYTES, "little") + message)
    output.flush()


def receive(source: Any, kind: type[T]) -> T:
    """Receive a message of `send`.  Raises EOFError if it is incomplete, and ValueError for another
    kind."""
    length = int.from_bytes(_read(source, LENGTH_BYTES), "little")
    if length > MAX_BYTES:
        raise ValueError("the process tells something else")
    return msgspec.msgpack.decode(_read(source, length), type=kind)


def _read(source: Any, count: int) -> bytes:
    """Read `count` bytes of a pipe.  Raises EOFError if the pipe ends earlier."""
    content = b""
    while len(content) < count:
        piece = source.read(count - len(content))
        if not piece:
            raise EOFError
        content += piece
    return content
