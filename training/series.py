"""Trains and scores a series of runs, one after the other:

python -m training.series training/series/NAME.toml --out FOLDER [--results training/results]

The file of a series has `seeds`, [[runs]] (`name`, `config`, and overrides in `set`) and [[tests]]
(further test sets).  The runs of the first seed come first, then the runs of the next seed.  Each
run gets the folder OUT/NAME-SEED.  A second start skips everything that is finished, and resumes
the run that was interrupted.  With --results, the small files of each scored run are copied there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.config import load
from training.run_files import CONFIG, INTEGER_SCORES, LOG, SCORES, read_config

CONFIGS = Path(__file__).parent / "configs"


@dataclass(frozen=True)
class Run:
    """One model with one seed."""

    config: Path
    folder: Path
    overrides: tuple[str, ...]

    def has(self, name: str, key: str = "") -> bool:
        """Return whether the run has a file of scores, and in this file a key that begins so."""
        path = self.folder / name
        if not path.exists():
            return False
        return any(split.startswith(key) for split in json.loads(path.read_text(encoding="utf-8")))


def runs(series: dict[str, Any], out: Path) -> Iterator[Run]:
    """Yield the runs of all seeds.  A wrong configuration raises `ValueError` before any run."""
    for seed in series["seeds"]:
        for member in series["runs"]:
            overrides = (*member.get("set", ()), f"optim.seed = {seed}")
            load(CONFIGS / member["config"], overrides)
            yield Run(CONFIGS / member["config"], out / f"{member['name']}-{seed}", overrides)


def start(module: str, *arguments: object) -> None:
    """Run a command of this package in a process of its own.  Stop here if it fails."""
    found = subprocess.run([sys.executable, "-m", f"training.{module}", *map(str, arguments)])
    if found.returncode:
        raise SystemExit(found.returncode)


def train(run: Run, root: Path, threads: int) -> None:
    """Train a run and score it in float and in integers, unless this is done."""
    if not run.has(SCORES):
        changes = [part for line in run.overrides for part in ("--set", line)]
        places = ("--out", run.folder, "--root", root, "--threads", threads)
        start("train", run.config, *places, *changes)
    if not run.has(INTEGER_SCORES):
        start("integer_scores", run.folder, "--threads", threads)


def test(run: Run, test: dict[str, str], root: Path, threads: int) -> None:
    """Score a finished run on a further test set, unless this is done."""
    if run.has(SCORES, test["name"]) and run.has(INTEGER_SCORES, test["name"]):
        return
    source, target = (root / test[side] for side in ("source", "target"))
    if read_config(run.folder).data.reverse:
        source, target = target, source
    files = "--source", source, "--target", target
    start("further_scores", test["name"], run.folder, *files, "--threads", threads)


def keep(run: Run, results: Path | None) -> None:
    """Copy configuration, log and scores of a run to the folder of results."""
    if results is None:
        return
    folder = results / run.folder.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, LOG, SCORES, INTEGER_SCORES):
        shutil.copyfile(run.folder / name, folder / name)


def main(command: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("series", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the folders of the runs")
    parser.add_argument("--results", type=Path, help="folder for the small files of each run")
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("INT8REF_SHARED", "../shared")) / "data",
        help="folder the text files are relative to",
    )
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(command)
    series = tomllib.loads(arguments.series.read_text(encoding="utf-8"))
    planned = list(runs(series, arguments.out))
    for run in planned:
        train(run, arguments.root, arguments.threads)
        keep(run, arguments.results)
    for further in series.get("tests", ()):
        for run in planned:
            test(run, further, arguments.root, arguments.threads)
            keep(run, arguments.results)


if __name__ == "__main__":
    main()
