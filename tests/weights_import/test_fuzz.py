"""Damaged checkpoints of every format are read, or rejected in one line.

No other exception, no hang, no signal, and no more memory than the limit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import fuzz_checkpoints
import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the bound of the memory is that of Linux"
)


def tried(folder: Path, first: int, count: int, seconds: int) -> list[str]:
    """Run the mutations in their own process.  Return the wrong outcomes."""
    program = [sys.executable, fuzz_checkpoints.__file__, str(folder), str(first), str(count)]
    found = subprocess.run(program, capture_output=True, text=True, timeout=seconds, check=False)
    lines = found.stdout.splitlines()
    last = found.stderr.strip().splitlines()[-1:]
    assert found.returncode == 0, f"status {found.returncode} after {last}"
    assert json.loads(lines[-1]) == {"done": count}
    return lines[:-1]


def test_damaged_checkpoints_are_read_or_refused(tmp_path: Path) -> None:
    assert tried(tmp_path, 0, 600, 300) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(10_000, 30_000, 2_000))
def test_many_more(first: int, tmp_path: Path) -> None:
    assert tried(tmp_path, first, 2_000, 900) == []


def test_what_is_wrong_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests the harness: it reports exceptions, hangs, memory and long messages."""
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); import fuzz_checkpoints as f;"
        "from pathlib import Path; from int8ref.errors import UserError; n = iter(range(9));"
        "f.SECONDS = 1\n"
        "def attempt(folder):\n"
        "    number = next(n)\n"
        "    if number == 0: raise KeyError('x')\n"
        "    if number == 1: time.sleep(9)\n"
        "    if number == 2: bytes(3 << 30)\n"
        "    if number == 3: raise UserError('two\\nlines')\n"
        "f.attempt = attempt; f.run(Path(sys.argv[2]), 0, 5)"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)]
    out = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout
    *bad, done = map(json.loads, out.splitlines())
    assert done == {"done": 5}
    assert [line["mutation"] for line in bad] == [0, 1, 2, 3]
    for line, kind in zip(bad, ("KeyError", "TimeoutError", "MemoryError", "two"), strict=True):
        assert kind in line["error"]
