"""What a stranger may send, by chance: random valid Programs, and changed files.

The commands of `tests/fuzz` run in processes of their own, because a fault would end them.
"""

from __future__ import annotations

import sys

import pytest

from tests.machine_text import machine_text
from tests.processes import run

PROGRAMS, FILES = 200, 500
MANY_PROGRAMS, MANY_FILES = 10_000, 2_000

needs_pages = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="guard pages and limits of memory are Linux's here"
)


def fuzz(command: str, count: int, timeout: int) -> bytes:
    machine_text()
    arguments = [sys.executable, "-m", f"tests.fuzz.{command}", "--count", str(count)]
    status, out, told = run(arguments, timeout=timeout)
    assert status == 0, told[-3000:]
    return out


@needs_pages
def test_random_programs_are_equal_on_both_backends() -> None:
    assert f"{PROGRAMS} programs are equal on both backends, with 18 operations".encode() in fuzz(
        "programs", PROGRAMS, 600
    )


@needs_pages
def test_changed_files_work_or_are_refused() -> None:
    out = fuzz("files", FILES, 600)
    assert b"'works'" in out
    assert b"'refused'" in out


@needs_pages
@pytest.mark.slow
def test_many_random_programs() -> None:
    assert f"{MANY_PROGRAMS} programs are equal".encode() in fuzz("programs", MANY_PROGRAMS, 6000)


@needs_pages
@pytest.mark.slow
def test_many_changed_files() -> None:
    fuzz("files", MANY_FILES, 3000)
