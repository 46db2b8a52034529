"""Runs commands as processes."""

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
"""Seconds after which a process counts as hanging.

The value is large, because a first run compiles, and a machine may be busy.
"""


def run(arguments: Command, stdin: bytes = b"", timeout: int = TIMEOUT) -> tuple[int, bytes, str]:
    """Return exit status, stdout and stderr."""
    done = subprocess.run(arguments, input=stdin, capture_output=True, timeout=timeout, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def start(arguments: Command, **options: Any) -> subprocess.Popen[bytes]:
    """Start a process with pipes."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(arguments, **{**streams, **options})


def python(program: str, *arguments: Path) -> subprocess.Popen[str]:
    """Start a Python program that can import the modules of this process and this project."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], object]) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
