"""First uses of a model by name that run at the same time, or are killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from int8ref.files.model_file import load
from tests.helpers.first_use import Machine, new_machine
from tests.helpers.processes import TIMEOUT, until


@pytest.fixture
def machine(tmp_path: Path, tiny_file: Path) -> Machine:
    return new_machine(tmp_path, tiny_file)


@pytest.fixture
def slow_import(machine: Machine) -> Iterator[subprocess.Popen[bytes]]:
    """A first use whose importer has written half of a file."""
    (machine.folder / "slow").touch()
    with machine.start("a cat") as process:
        until(machine.begun)
        yield process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    (machine.folder / "slow").unlink(missing_ok=True)


def second_use(machine: Machine) -> subprocess.Popen[bytes]:
    """Start a second process, which waits for a slow import."""
    process = machine.start("a cat")
    assert process.stderr is not None
    told = process.stderr.readline().decode()
    assert told == "int8ref: waiting for another process, which imports en-pt ...\n"
    return process


def test_of_two_first_uses_one_waits_for_the_other(
    machine: Machine, slow_import: subprocess.Popen[bytes]
) -> None:
    with second_use(machine) as second:
        (machine.folder / "slow").unlink()
        outs = [process.communicate(timeout=TIMEOUT)[0] for process in (slow_import, second)]
    assert [slow_import.returncode, second.returncode] == [0, 0]
    assert outs[0] == outs[1] != b""
    assert machine.imports() == 1
    assert [load(path).name for path in machine.cached()] == ["tiny"]


@pytest.mark.parametrize("how", ["fails", "is killed"])
def test_who_waits_imports_when_the_other_does_not(
    machine: Machine, slow_import: subprocess.Popen[bytes], how: str
) -> None:
    with second_use(machine) as second:
        if how == "fails":
            (machine.folder / "failing").touch()
            (machine.folder / "slow").unlink()
            assert slow_import.wait(TIMEOUT) == 1
            (machine.folder / "failing").unlink()
        else:
            slow_import.kill()
            (machine.folder / "slow").unlink()
        out, errors = second.communicate(timeout=TIMEOUT)
    assert second.returncode == (0 if b"damaged" not in errors else 1)
    assert machine.imports() == 2
    if how == "is killed":
        assert out
        assert [load(path).name for path in machine.cached()] == ["tiny"]


SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def descendants(process: int) -> set[int]:
    """Return the children of a process, their children, and so on."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found, new = set[int](), {process}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= new
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no processes in /proc")
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_first_use_that_is_ended_leaves_no_process_and_no_file(
    machine: Machine, slow_import: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    children = descendants(slow_import.pid)
    assert children
    slow_import.send_signal(number)
    assert slow_import.wait(TIMEOUT) == -number
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    until(lambda: not list(machine.temporary.iterdir()))
    assert [path.suffix for path in machine.cached()] in ([], [".lock"])
    (machine.folder / "slow").unlink()
    assert machine.run("a cat")[0] == 0
    assert [load(path).name for path in machine.cached()] == ["tiny"]


def is_stopped(process: int) -> bool:
    """Return whether every thread of a process has stopped.  A signal alone promises no moment."""
    threads = Path(f"/proc/{process}/task").glob("*/stat")
    return all(path.read_text().rpartition(")")[2].split()[0] == "T" for path in threads)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no processes in /proc")
def test_the_next_import_removes_what_a_killed_group_of_processes_left(
    machine: Machine, slow_import: subprocess.Popen[bytes]
) -> None:
    children = descendants(slow_import.pid)
    for child in children:
        os.kill(child, signal.SIGSTOP)  # a stopped child cannot clean up
    until(lambda: all(is_stopped(child) for child in children))
    slow_import.kill()
    for child in children:
        os.kill(child, signal.SIGKILL)
    slow_import.wait()
    (machine.folder / "slow").unlink()
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    assert machine.begun()
    assert machine.run("a cat")[0] == 0
    assert list(machine.temporary.iterdir()) == []
