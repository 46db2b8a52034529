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
    """Starts a process, and kills it after its first line of output.

    options: {"command": [...]}
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._command = options["command"]
        self._process: subprocess.Popen[bytes] | None = None
        self._memory = 0

    def prepare(self, work: dict[str, Any]) -> Callable[[], str]:
        self._start()  # the first start may compile, so it does not count
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
        """Kill the process, and add its memory to the peak."""
        if self._process is not None:
            # Popen.kill may collect an ended process, and its memory usage would be lost.
            os.kill(self._process.pid, signal.SIGKILL)
            assert self._process.stdout is not None
            self._process.stdout.close()
            _, self._process.returncode, usage = os.wait4(self._process.pid, 0)
            self._memory = max(self._memory, usage.ru_maxrss)
            self._process = None

    def peak_memory(self) -> int:
        """Return the peak memory of the ended processes in KiB."""
        return self._memory
