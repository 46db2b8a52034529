"""The kernels as plain Python, because the interpreter promotes integers in another way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from tests.helpers.processes import TIMEOUT

ROOT = Path(__file__).parents[2]
FILES = ("tests/ops/test_twins.py::test_same_bits", "tests/test_arithmetic.py")


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the compiler is disabled already")
def test_every_kernel_without_jit() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "HYPOTHESIS_PROFILE": "few"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout
