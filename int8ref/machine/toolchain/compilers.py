"""Processes that compile the machine together: one for each processor.

Each is a child that runs `build`.  It tells how many parts there are, and then compiles one part
after another, the next that no other has.
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
from int8ref.machine.toolchain.objects import Part

LENGTH_BYTES = 8
PATIENCE_SECONDS = 60
"""How long a process may take to end that tells no more."""
MAX_BYTES = 1 << 26
"""Most of what is told at once."""
MAX_PARTS = 256
"""A part's number is a byte."""
CRASHES = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGABRT", "SIGFPE")

Told = Callable[[int, int], object]
"""Is told how many parts are done, and how many there are."""
T = TypeVar("T")


class CrashError(Exception):
    """A compiler has crashed, by the signal that the message names: so would this process."""


def compile_elsewhere(count: int, tell: Told) -> list[Part]:
    """All parts, compiled by so many processes.

    Raises OSError and ValueError where one of them fails; `CrashError` where a signal ends it.
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
    """The parts that are done, and the numbers of the others."""

    def __init__(self, tell: Told) -> None:
        self.parts: list[Part] = []
        self.errors: list[Exception] = []
        self._tell = tell
        self._numbers = iter(range(MAX_PARTS))

    def share(self) -> None:
        """Have a child compile parts as long as there are any, and no child fails."""
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
                self.parts.append(receive(process.stdout, Part))
                self._tell(len(self.parts), total)
        except (EOFError, BrokenPipeError):
            status = process.wait(PATIENCE_SECONDS)
            ended_by = signal.Signals(-status).name if status < 0 else ""
            if ended_by in CRASHES:
                raise CrashError(ended_by) from None
            raise ValueError(f"exit status {status}") from None


def settings() -> dict[str, str | None]:
    """The environment of a compiler, less what could change its code, or what it prints: the code
    depends on what its digest covers alone."""
    ours = (name for name in os.environ if name.startswith("NUMBA_"))
    return dict.fromkeys(name for name in ours if name not in SETTINGS)


def send(output: BinaryIO, content: Any) -> None:
    """Tell something, with its length before it."""
    message = msgspec.msgpack.encode(content)
    output.write(len(message).to_bytes(LENGTH_BYTES, "little") + message)
    output.flush()


def receive(source: Any, kind: type[T]) -> T:
    """What `send` has sent.  Raises EOFError where it is not whole, ValueError for another kind."""
    length = int.from_bytes(_read(source, LENGTH_BYTES), "little")
    if length > MAX_BYTES:
        raise ValueError("the process tells something else")
    return msgspec.msgpack.decode(_read(source, length), type=kind)


def _read(source: Any, count: int) -> bytes:
    """So many bytes of a pipe.  Raises EOFError where it ends before."""
    content = b""
    while len(content) < count:
        piece = source.read(count - len(content))
        if not piece:
            raise EOFError
        content += piece
    return content
