"""Commands as processes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

Command = list[str | Path]


def run(arguments: Command, stdin: bytes = b"", timeout: int = 60) -> tuple[int, bytes, str]:
    """Exit status, stdout, stderr."""
    done = subprocess.run(arguments, input=stdin, capture_output=True, timeout=timeout, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def start(arguments: Command, **options: Any) -> subprocess.Popen[bytes]:
    """A process with pipes."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(arguments, **{**streams, **options})
