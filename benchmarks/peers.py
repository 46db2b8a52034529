"""`python -m benchmarks.peers`: installs what int8ref is compared with, measures, reports.

Each part is measured block by block, and the results are kept after each block: the same command
goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import platformdirs

from benchmarks import machine, report
from benchmarks.client import Worker, WorkerError
from benchmarks.environments import UnavailableError
from benchmarks.parts import PARTS
from benchmarks.parts.part import Contestant, Part
from benchmarks.results import BlockResults, Results, ResultsError, resume, save
from benchmarks.rounds import measure
from benchmarks.setting import Setting

ROUNDS, SECONDS, LINES = 5, 0.3, 100


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=(__doc__ or "").split(": ", 1)[1]
    )
    add = made.add_argument
    add("--parts", default=",".join(PARTS), help="which, in which order (default: %(default)s)")
    add("--only", metavar="REGEX", default="", help="contestants whose names match, no others")
    add("--results", type=Path, metavar="FOLDER", help="default: results in the cache folder")
    add("--fresh", action="store_true", help="forget the results that are in the folder")
    add("--install-only", action="store_true", help="make environments and models, measure nothing")
    add("--rounds", type=int, default=ROUNDS, help="samples a case (default: %(default)s)")
    add(
        "--seconds",
        type=float,
        default=SECONDS,
        help="least duration of a sample (default: %(default)s)",
    )
    add("--lines", type=int, default=LINES, help="sentences of the text (default: %(default)s)")
    add("--clock", choices=("wall", "cpu"), default="wall", help="what is told in the report")
    add("--cpu", type=int, help="processor to pin to (default: the last one allowed)")
    add(
        "--python",
        action="append",
        default=[],
        metavar="VERSION=PATH",
        help="an interpreter for contestants that need another version, such as 3.10=python3.10",
    )
    add(
        "--cache",
        type=Path,
        help="environments, models (default: INT8REF_PEERS, else a folder in the user's cache)",
    )
    add(
        "--shared",
        type=Path,
        default=default_shared(),
        help="folder of test sets (default: INT8REF_SHARED, else ../shared)",
    )
    return made


def default_cache() -> Path:
    """Return INT8REF_PEERS, or a folder in the cache folder of the user."""
    chosen = os.environ.get("INT8REF_PEERS")
    return Path(chosen) if chosen else platformdirs.user_cache_path("int8ref-benchmarks")


def default_shared() -> Path:
    """Return INT8REF_SHARED, or the folder beside the checkout."""
    chosen = os.environ.get("INT8REF_SHARED")
    return Path(chosen) if chosen else machine.ROOT.parent / "shared"


def main(arguments: list[str] | None = None) -> int:
    """Run the command.  Return 0, 1 if results cannot be continued, or 130 after an interrupt."""
    made = parser()
    options = made.parse_args(arguments)
    unknown = [name for name in options.parts.split(",") if name not in PARTS]
    if unknown:
        made.error(f"no parts {', '.join(unknown)} (there are {', '.join(PARTS)})")
    try:
        cache = options.cache or default_cache()
    except RuntimeError as error:  # the user has no home folder
        made.error(f"say --cache FOLDER: {error}")
    cpus = machine.processors()
    first = cpus[-1] if options.cpu is None else options.cpu
    setting = Setting(
        cache=cache.resolve(),
        shared=options.shared.resolve(),
        lines=options.lines,
        cpus=[first, *(cpu for cpu in cpus if cpu != first)],
        pythons=dict(text.split("=", 1) for text in options.python),
    )
    parts = [PARTS[name] for name in options.parts.split(",")]
    folder = options.results or setting.cache / "results"
    try:
        run(parts, setting, options, folder)
    except ResultsError as error:
        print(f"benchmarks.peers: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def run(parts: list[Part], setting: Setting, options: argparse.Namespace, folder: Path) -> None:
    """Measure the blocks that the results in the folder lack, and write the report."""
    settings = {name: getattr(options, name) for name in ("rounds", "seconds", "lines", "only")}
    fresh = Results(machine.describe(), settings, {"int8ref commit": machine.commit()})
    results = fresh if options.fresh else resume(folder, fresh)
    for part in parts:
        run_part(part, setting, options, results, folder)
    if options.install_only:
        return
    for problem in report.write(folder, results, options.clock):
        say(problem)
    print(folder / report.REPORT)


def run_part(
    part: Part, setting: Setting, options: argparse.Namespace, results: Results, folder: Path
) -> None:
    """Measure all blocks of a part.  Each contestant starts once."""
    try:
        blocks = part.blocks(setting)
    except UnavailableError as error:
        say(f"{part.name}: skipped: {error}")
        if not options.install_only:
            results.forget(part.name)
            results.blocks.append(BlockResults(part.name, "all", skipped={"all": str(error)}))
            save(folder, results)
        return
    if all(results.has(part.name, block.name) for block in blocks):
        say(f"{part.name}: measured already")
        return
    chosen = [c for c in part.contestants if re.search(options.only, c.name)]
    with started(chosen, setting) as (workers, skipped):
        for who, why in skipped.items():
            say(f"{part.name}: {who}: skipped: {why}")
        for name, worker in workers.items():
            results.versions |= worker.about["versions"]
            if worker.about["description"]:
                results.descriptions[name] = worker.about["description"]
        if options.install_only:
            return
        for block in blocks:
            if not results.has(part.name, block.name):
                found = measure(part.name, block, workers, options.rounds, options.seconds, say)
                found.skipped = skipped | found.skipped
                results.blocks.append(found)
                save(folder, results)


@contextmanager
def started(
    contestants: list[Contestant], setting: Setting
) -> Iterator[tuple[dict[str, Worker], dict[str, str]]]:
    """Yield the started contestants by name, and the reasons why others did not start."""
    workers: dict[str, Worker] = {}
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        for contestant in contestants:
            try:
                workers[contestant.name] = start(contestant, setting)
            except (UnavailableError, WorkerError) as error:
                skipped[contestant.name] = str(error)
            else:
                stack.callback(workers[contestant.name].close)
        yield workers, skipped


def start(contestant: Contestant, setting: Setting) -> Worker:
    """Install, prepare and start a contestant.  Raises `UnavailableError` and `WorkerError`."""
    python = setting.python(contestant.environment)
    for preparation in contestant.preparations(setting):
        setting.prepare(preparation)
    logs = setting.cache / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / (re.sub(r"\W+", "-", contestant.name) + ".txt")
    options = json.dumps(contestant.options(setting))
    command = [python, "-m", "benchmarks.workers", contestant.worker, options]
    say(f"starting {contestant.name}")
    return Worker(command, setting.cpus[: contestant.threads], log)


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
