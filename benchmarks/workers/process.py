"""A whole process as the work: from its start to its first line of output."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

PACKAGES = ()


class Engine:
    """Options: {"command": [...]}.  When its first line has come, the process is killed."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._command = options["command"]
        self._process: subprocess.Popen[bytes] | None = None
        self._memory = 0

    def prepare(self, work: dict[str, Any]) -> Callable[[], str]:
        self._start()  # what it does only once, such as compile, must count for nothing
        self.finish()
        self._memory = 0
        return self._start

    def _start(self) -> str:
        with tempfile.TemporaryFile() as errors:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                self.finish()
                errors.seek(0)
                raise RuntimeError(errors.read().decode(errors="replace")[-500:] or "no output")
        return line.decode().strip()

    def finish(self) -> None:
        """End the process and take account of its memory."""
        if self._process is not None:
            # Not Popen.kill: it would collect a process that has ended, and its memory with it.
            os.kill(self._process.pid, signal.SIGKILL)
            assert self._process.stdout is not None
            self._process.stdout.close()
            _, self._process.returncode, usage = os.wait4(self._process.pid, 0)
            self._memory = max(self._memory, usage.ru_maxrss)
            self._process = None

    def peak_memory(self) -> int:
        """Of the processes ended so far, in KiB."""
        return self._memory
