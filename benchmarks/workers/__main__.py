"""`python -m benchmarks.workers NAME OPTIONS`: runs a contestant that answers requests.

With `--once WORK`, the process loads, does the work, prints the output, and ends: a cold start.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from benchmarks.machine import pin
from benchmarks.workers.protocol import CPUS, serve


def main() -> None:
    """Read requests from standard input.  Write answers to the original standard output."""
    answers = _claim_stdout()
    if CPUS in os.environ:
        pin([int(cpu) for cpu in os.environ[CPUS].split(",")])
    module = importlib.import_module(f"benchmarks.workers.{sys.argv[1]}")
    engine = module.Engine(json.loads(sys.argv[2]))
    if len(sys.argv) == 5 and sys.argv[3] == "--once":
        _tell(answers, engine.prepare(json.loads(sys.argv[4]))())
        os._exit(0)  # a start does not include the clean-up of libraries
    versions = {name: importlib.metadata.version(name) for name in module.PACKAGES}
    _tell(answers, {"versions": versions, "description": getattr(engine, "description", "")})
    for answer in serve(engine, _requests()):
        _tell(answers, answer)


def _claim_stdout() -> TextIO:
    """Return the original standard output.  Redirect the output of libraries to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _requests() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def _tell(answers: TextIO, message: Any) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


main()
