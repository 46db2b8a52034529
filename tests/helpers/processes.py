"""Commands as processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = list[str | bytes | Path]
TIMEOUT = 900
"""Seconds that only a hang takes, because a first run compiles and a machine may be busy."""


def run(arguments: Command, stdin: bytes = b"", timeout: int = TIMEOUT) -> tuple[int, bytes, str]:
    """Exit status, stdout, stderr."""
    done = subprocess.run(arguments, input=stdin, capture_output=True, timeout=timeout, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def start(arguments: Command, **options: Any) -> subprocess.Popen[bytes]:
    """A process with pipes."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(arguments, **{**streams, **options})


def python(program: str, *arguments: Path) -> subprocess.Popen[str]:
    """A Python program, which imports what this process can, and this project's packages."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], object]) -> None:
    """Wait."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
