"""Runs the tests of a file on its mutants, each in a fork with a changed module.

The changed source exists in memory only: an import hook gives it to the one process that tests it.
Therefore no copy of the project is necessary, and nothing has to be put back.  The native code is
always that of the unchanged project.  NUMBA_DISABLE_JIT is set, so that tests of kernels run the
kernels as plain Python, which read the changed module.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import select
import signal
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 120
WALL_SECONDS = 900
MEMORY = 8 << 30
KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
PROFILE = "mutation"
BROKEN = 70
"""Exit status of a process that could not start the tests."""


def preload() -> None:
    """Import what every test needs and no mutant changes, and set a profile without shrinking."""
    import numba  # noqa: F401
    import numpy as np  # noqa: F401

    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile(
        PROFILE, deadline=None, max_examples=25, derandomize=True, phases=phases,
        report_multiple_bugs=False, database=None,
    )  # fmt: skip


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, whose source is given."""

    def __init__(self, file: str, source: str) -> None:
        self.name = file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        self._path, self._source = ROOT / file, source

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        inside = [str(self._path.parent)] if self._path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            name, self._path, loader=self, submodule_search_locations=inside
        )

    def exec_module(self, module: types.ModuleType) -> None:
        exec(compile(self._source, str(self._path), "exec"), module.__dict__)


class _First:
    """Sends the name of the first test that fails."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            os.write(self._pipe, report.nodeid.encode()[:300])

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            os.write(self._pipe, f"import of {report.nodeid}".encode()[:300])


def verdict(file: str, source: str, tests: Sequence[str]) -> tuple[str, str]:
    """Return (killed, survived or timeout; the first test that failed) for a source of a file."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _test(file, source, tests, writing)
    os.close(writing)
    status = _wait(child)
    with os.fdopen(reading, "rb") as stream:
        first = stream.read().decode(errors="replace")
    if status is None or os.WIFSIGNALED(status):
        return TIMEOUT, f"stopped by signal {os.WTERMSIG(status) if status is not None else 'KILL'}"
    code = os.waitstatus_to_exitcode(status)
    if code == pytest.ExitCode.OK:
        return SURVIVED, ""
    if code == BROKEN:
        raise RuntimeError(f"{file}: the tests did not start")
    return KILLED, first or "import of tests/conftest.py"


def _wait(child: int) -> int | None:
    """The status of a child, or None if it had to be killed because it slept too long."""
    pidfd, end = os.pidfd_open(child), time.monotonic() + WALL_SECONDS
    try:
        ended, _, _ = select.select([pidfd], [], [], max(0, end - time.monotonic()))
    finally:
        os.close(pidfd)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None
    return os.waitpid(child, 0)[1]


def _test(file: str, source: str, tests: Sequence[str], pipe: int) -> None:
    """Run the tests in this process, and end it."""
    code = BROKEN
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        sys.meta_path.insert(0, _Changed(file, source))
        os.environ["HYPOTHESIS_PROFILE"] = PROFILE
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--capture=no"]
        preloaded = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        with contextlib.suppress(BaseException):
            code = int(pytest.main([*options, *preloaded, *tests], plugins=[_First(pipe)]))
    finally:
        os._exit(code)
