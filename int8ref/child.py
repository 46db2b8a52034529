"""Modules that run as programs of their own, in a child process."""

from __future__ import annotations

import os
import sys


def program(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment for a module, with this interpreter and what it can import.

    The current folder is not searched for modules unless this process searches it.
    """
    command = [sys.executable, "-P", "-m", module, *arguments]
    return command, {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
