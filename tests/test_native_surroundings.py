"""Native code with several compiling processes, and on systems that forbid executable memory."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from int8ref.host import locks
from int8ref.machine.toolchain import image, objects
from tests.helpers import forbidding
from tests.helpers.engines import requests
from tests.helpers.native_cache import REFERENCE, Cache, new_cache, small_part
from tests.helpers.processes import TIMEOUT, python, until


@pytest.fixture(name="cache")
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    return new_cache(tmp_path, monkeypatch)


RACER = """
import logging, os, sys, time
from pathlib import Path
from int8ref.machine.toolchain import native
code, folder = Path(sys.argv[1]), Path(sys.argv[2])
def compile_machine(tell):
    (folder / f"compiling-{os.getpid()}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return code.read_bytes()
native.compile_machine = compile_machine
native.machine()
"""


class Race:
    """Two processes without cached code.  The first process compiles, and the second waits."""

    def __init__(self, cache: Cache, folder: Path) -> None:
        self.folder = folder
        (folder / "code").write_bytes(cache._code)
        self.first = self._racer()
        until(self.compiling)
        self.second = self._racer()
        assert self.second.stderr is not None
        assert "waiting for another process" in self.second.stderr.readline()

    def _racer(self) -> subprocess.Popen[str]:
        return python(RACER, self.folder / "code", self.folder)

    def compiling(self) -> list[Path]:
        """Return one file for each process that has begun to compile."""
        return list(self.folder.glob("compiling-*"))


def test_of_two_processes_one_waits_for_the_other_to_compile(cache: Cache, tmp_path: Path) -> None:
    race = Race(cache, tmp_path)
    (tmp_path / "go").touch()
    for racer in (race.first, race.second):
        _, errors = racer.communicate(timeout=TIMEOUT)
        assert racer.returncode == 0, errors
    assert len(race.compiling()) == 1
    assert cache.kept() == [cache.file]
    assert cache.works()
    assert cache.compiled == 0


def test_who_waits_compiles_when_the_other_is_killed(cache: Cache, tmp_path: Path) -> None:
    race = Race(cache, tmp_path)
    race.first.kill()
    race.first.communicate()
    until(lambda: len(race.compiling()) == 2)
    (tmp_path / "go").touch()
    _, errors = race.second.communicate(timeout=TIMEOUT)
    assert race.second.returncode == 0, errors
    assert "only now" in errors
    assert cache.kept() == [cache.file]


def test_without_locks_both_compile(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> bool:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(locks, "lock", refuse)
    assert cache.works()
    assert cache.compiled == 1
    assert cache.file.exists()


# Systems that forbid executable memory.

FORBIDDEN = """
import sys
from pathlib import Path
from int8ref import errors
from int8ref.engines.compiled import CompiledEngine
from int8ref.machine.toolchain import native
from int8ref.files.model_file import load
from int8ref.search.request import Request
from tests.helpers.forbidding import MMAP, MPROTECT, forbid
model, code = load(sys.argv[1]), Path(sys.argv[2]).read_bytes()
forbid(*{"mprotect": [MPROTECT], "all": [MPROTECT, MMAP]}[sys.argv[3]])
native._read = lambda path: code
try:
    engine = CompiledEngine(model.program, model.tensors)
    print(engine.greedy([Request([5, 9, 3, 0], 9), Request([7, 0], 9)]))
except errors.UserError as error:
    print(error)
"""
REFUSED = (
    "there is no compiled code: the system forbids to run it (Operation not permitted);"
    ' --backend reference (in Python: backend="reference") gives the same results, slowly'
)
needs_filter = pytest.mark.skipif(not forbidding.SUPPORTED, reason="no filter of system calls here")


def forbidden(tiny_file: Path, code: Path, what: str) -> str:
    """Return the output of a process that uses this code under the restriction `what`."""
    run = python(FORBIDDEN, tiny_file, code, Path(what))
    out, errors = run.communicate(timeout=TIMEOUT)
    assert run.returncode == 0, errors
    return out.strip()


@needs_filter
def test_code_is_mapped_where_memory_may_not_be_made_executable(
    cache: Cache, tiny_file: Path
) -> None:
    assert cache.works()
    result = str(REFERENCE.greedy(requests([[5, 9, 3, 0], [7, 0]], [9, 9])))
    assert forbidden(tiny_file, cache.file, "mprotect") == result


@needs_filter
def test_where_no_memory_is_executable_the_way_round_is_told(cache: Cache, tiny_file: Path) -> None:
    assert cache.works()
    assert forbidden(tiny_file, cache.file, "all") == REFUSED


@needs_filter
def test_object_files_are_not_run_where_llvm_would_crash(
    tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "supported", lambda: False)
    (tmp_path / "code").write_bytes(objects.encode([small_part("add i64 40, 2")]))
    assert forbidden(tiny_file, tmp_path / "code", "mprotect") == REFUSED
