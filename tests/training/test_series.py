"""A series of runs.  The commands it starts are recorded, and write what the real ones write."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from training import series
from training.config import load
from training.run_files import CONFIG, INTEGER_SCORES, LOG, SCORES, write_json

SERIES = sorted((Path(series.__file__).parent / "series").glob("*.toml"))


class Commands:
    """Imitates the commands of the package.  `broken` is the number of the command that fails."""

    def __init__(self, broken: int | None = None) -> None:
        self.seen: list[tuple[str, ...]] = []
        self.broken = broken

    def __call__(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        assert command[:2] == [sys.executable, "-m"]
        module, *arguments = command[2:]
        if len(self.seen) == self.broken:
            return subprocess.CompletedProcess(command, 3)
        name = module.removeprefix("training.")
        getattr(self, name)(*arguments)
        return subprocess.CompletedProcess(command, 0)

    def train(self, config: str, *options: str) -> None:
        folder = Path(options[options.index("--out") + 1])
        changes = tuple(b for a, b in itertools.pairwise(options) if a == "--set")
        folder.mkdir(parents=True, exist_ok=True)
        found = load(Path(config), changes)
        data = {"train_target": [], "reverse": found.data.reverse}
        write_json(folder / CONFIG, {"name": found.name, "data": data, "optim": {"steps": 1}})
        (folder / LOG).write_text("")
        write_json(folder / SCORES, {"test beam 5": {}})
        self.seen.append(("train", folder.name, found.name))

    def integer_scores(self, folder: str, *_: str) -> None:
        write_json(Path(folder) / INTEGER_SCORES, {"test beam 5": {}})
        self.seen.append(("integer_scores", Path(folder).name))

    def further_scores(self, name: str, folder: str, *options: str) -> None:
        for file in (SCORES, INTEGER_SCORES):
            path = Path(folder) / file
            write_json(path, json.loads(path.read_text()) | {f"{name} beam 5": {}})
        source = Path(options[options.index("--source") + 1])
        self.seen.append(("further_scores", name, Path(folder).name, source.name))


def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, commands: Commands) -> None:
    monkeypatch.setattr(series.subprocess, "run", commands)
    options = "--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results")
    series.main([str(SERIES[0]), *options])


def test_runs_go_seed_by_seed_and_only_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = Commands()
    start(monkeypatch, tmp_path / "whole", whole)
    trained = [command[1] for command in whole.seen if command[0] == "train"]
    models = ["en-ro-standard", "en-ro-integer", "ro-en-standard", "ro-en-integer"]
    assert trained == [f"{model}-{seed}" for seed in (1, 2, 3) for model in models]
    assert whole.seen[:2] == [
        ("train", "en-ro-standard-1", "en-ro-tatoeba-standard"),
        ("integer_scores", "en-ro-standard-1"),
    ]
    assert ("further_scores", "flores_dev", "en-ro-standard-1", "en.dev") in whole.seen
    assert ("further_scores", "flores_dev", "ro-en-standard-1", "ro.dev") in whole.seen
    again = Commands()
    start(monkeypatch, tmp_path / "whole", again)
    assert again.seen == []
    kept = sorted(path.name for path in (tmp_path / "whole" / "results").iterdir())
    assert kept == sorted(trained)


@pytest.mark.parametrize("broken", [0, 1, 7, 25])
def test_a_series_goes_on_where_it_stopped(
    broken: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole, first, second = Commands(), Commands(broken), Commands()
    start(monkeypatch, tmp_path / "whole", whole)
    with pytest.raises(SystemExit) as stopped:
        start(monkeypatch, tmp_path / "cut", first)
    assert stopped.value.code == 3
    start(monkeypatch, tmp_path / "cut", second)
    assert first.seen + second.seen == whole.seen


@pytest.mark.parametrize("path", SERIES, ids=[path.stem for path in SERIES])
def test_every_series_loads(path: Path, tmp_path: Path) -> None:
    table = series.tomllib.loads(path.read_text(encoding="utf-8"))
    runs = list(series.runs(table, tmp_path))
    assert len({run.folder for run in runs}) == len(runs)
