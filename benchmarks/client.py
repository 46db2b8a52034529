"""The client of `workers.protocol`: starts the process of a contestant and sends requests."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.workers.protocol import CPUS

TIMEOUT = 900.0
ONE_THREAD = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB")


class WorkerError(Exception):
    """A contestant failed, ended or timed out.  The message contains its output."""


class Worker:
    """The process of a contestant, pinned to processors."""

    def __init__(self, command: Sequence[str], cpus: Sequence[int], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env={**one_thread(), CPUS: ",".join(map(str, cpus))},
                text=True,
            )
        try:
            self.about = self._read(TIMEOUT)
        except WorkerError:
            self.close()
            raise

    def ask(self, request: dict[str, Any], timeout: float = TIMEOUT) -> dict[str, Any]:
        """Send a request.  Return the answer.  Raises `WorkerError`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(f"ended: {self._last_words()}") from None
        answer = self._read(timeout)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _read(self, timeout: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(timeout, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise WorkerError(f"ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"


def one_thread() -> dict[str, str]:
    """Return an environment in which each library uses one thread."""
    return {**os.environ, **{f"{library}_NUM_THREADS": "1" for library in ONE_THREAD}}
