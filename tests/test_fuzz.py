"""Fuzzing of inputs from strangers: random valid Programs, and changed files.

The commands of `tests/fuzz` run in their own processes, because a fault would end the process.
"""

from __future__ import annotations

import re
import sys

import pytest

from int8ref.program.program import Program
from int8ref.reference import instructions
from int8ref.reference.embed import Embed
from tests.fuzz.coverage import Coverage
from tests.helpers.machine_text import machine_text
from tests.helpers.processes import start

PROGRAMS, FILES, TOKENIZERS = 200, 100, 80
MANY_PROGRAMS, MANY_FILES, MANY_TOKENIZERS = 10_000, 2_000, 4_000
FAR = 1_000_000
"""A seed beyond the seeds of the first process."""

MISSING = re.compile("no program had: (.*)")

needs_pages = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="guard pages and limits of memory are Linux's here"
)


def fuzz(command: str, count: int) -> list[str]:
    """Return the output of two processes.  Each process runs half of the seeds."""
    machine_text()
    arguments = [sys.executable, "-m", f"tests.fuzz.{command}", "--count", str(count // 2)]
    processes = [start([*arguments, "--first", str(first)]) for first in (0, FAR)]
    found = []
    for process in processes:
        out, told = process.communicate()
        assert process.returncode == 0, told[-3000:]
        found.append(out.decode())
    return found


@needs_pages
def test_random_programs_are_equal_on_both_backends() -> None:
    operations = len(instructions())
    told = f"{PROGRAMS // 2} programs are equal on both backends, with {operations} operations"
    found = fuzz("programs", PROGRAMS)
    assert all(told in out for out in found)
    missing = [set(MISSING.findall(out)[0].split(", ")) for out in found]
    assert set.intersection(*missing) <= {"nothing is missing"}


def test_the_fuzzer_reports_what_it_never_draws() -> None:
    drawn = Coverage()
    assert {"lookup", "embed.channel_multiplier", "program.more_eos"} <= {*drawn.missing}
    embed = Embed(ids="target.ids", table="t", multiplier=0, channel_multiplier="c", shift=1,
                  wide_bits=1, out="out", wide="wide")  # fmt: skip
    program = Program(encoder=[], decoder=[embed], states=[], logits="", start=0, eos=1, unk=2,
                      max_source_length=0, max_length_factor=0, more_eos=(3,))  # fmt: skip
    drawn.add(program)
    taken = {"embed", "embed.channel_multiplier", "embed.wave absent", "program.more_eos"}
    assert not taken & {*drawn.missing}
    assert {"embed.wave", "embed.channel_multiplier absent", "lookup"} <= {*drawn.missing}


@needs_pages
def test_changed_files_work_or_are_refused() -> None:
    assert all("'works'" in out and "'refused'" in out for out in fuzz("files", FILES))


@needs_pages
def test_changed_tokenizers_work_or_are_refused() -> None:
    pytest.importorskip("tokenizers", reason="it reads them")
    assert all("'works'" in out and "'refused'" in out for out in fuzz("tokenizers", TOKENIZERS))


@needs_pages
@pytest.mark.slow
def test_many_changed_tokenizers() -> None:
    pytest.importorskip("tokenizers", reason="it reads them")
    fuzz("tokenizers", MANY_TOKENIZERS)


@needs_pages
@pytest.mark.slow
def test_many_random_programs() -> None:
    told = f"{MANY_PROGRAMS // 2} programs are equal"
    assert all(told in out for out in fuzz("programs", MANY_PROGRAMS))


@needs_pages
@pytest.mark.slow
def test_many_changed_files() -> None:
    fuzz("files", MANY_FILES)
