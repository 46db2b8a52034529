"""`python -m benchmarks.report FOLDER`: results.json as Markdown (report.md) and plots."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.parts import PARTS
from benchmarks.parts.part import Part
from benchmarks.results import Clock, Results, load
from benchmarks.tables import (
    Figures,
    best_table,
    memory_table,
    ratios_table,
    speeds_table,
)

REPORT = "report.md"
BUSY = 0.97
"""Smallest ratio of processor time to wall time on a quiet machine."""


def markdown(results: Results, clock: Clock) -> str:
    """Return the whole report."""
    lines = ["# Speed", "", *_conditions(results, clock)]
    for part in PARTS.values():
        lines += _part(part, results, clock)
    return "\n".join(lines).rstrip() + "\n"


def _conditions(results: Results, clock: Clock) -> list[str]:
    machine, settings = results.machine, results.settings
    versions = ", ".join(f"{name} {version}" for name, version in sorted(results.versions.items()))
    times = {"wall": "by the clock", "cpu": "of the processor"}[clock]
    features = ", ".join(machine["features"]) or "none of those looked for"
    return [
        f"- Machine: {machine['cpu']} (family and model {machine['family_and_model']}; {features}),"
        f" {machine['processors']} processors, {machine['system']}, Python {machine['python']}.",
        f"- Versions: {versions}.",
        *(f"- {name}: {told}." for name, told in sorted(results.descriptions.items())),
        f"- One thread, pinned. {settings['rounds']} rounds, contestants taking turns in each;"
        f" a sample lasts at least {settings['seconds']} s. Times {times}.",
        "- A figure is the median of the rounds ± half of the distance between the quartiles."
        " Ratios are medians of the ratios of each round; above 1 is faster.",
        "",
    ]


def _part(part: Part, results: Results, clock: Clock) -> list[str]:
    blocks = results.of(part.name)
    if not blocks:
        return []
    figures = Figures.of(part, blocks, clock)
    tables = [speeds_table(figures), ratios_table(figures)]
    if part.best:
        tables.insert(0, best_table(figures))
    if not part.cases_are_rows:
        tables.append(memory_table(figures))
    lines = [f"## {part.title}", ""]
    for found in filter(None, tables):
        lines += [*found, ""]
    notes = [*part.notes(results), *_quiet(part, results)]
    skipped = {who: why for block in blocks for who, why in block.skipped.items()}
    notes += [
        f"Not the same output in each run: {s.contestant}, {s.case}."
        for block in blocks
        for s in block.series
        if not s.same
    ]
    notes += [f"Not measured: {who}: {why}." for who, why in skipped.items()]
    return [*lines, *(f"- {note}" for note in notes), *([""] if notes else [])]


def _quiet(part: Part, results: Results) -> list[str]:
    """Return a warning if other processes used the processors.

    Contestants with several threads do not count.
    """
    single = {c.name for c in part.contestants if c.threads == 1 and c.worker != "process"}
    shares = [
        sum(series.cpu) / sum(series.wall)
        for block in results.of(part.name)
        for series in block.series
        if series.contestant in single and series.wall
    ]
    if not shares or min(shares) >= BUSY:
        return []
    return [
        f"The machine was not quiet: contestants had the processor {100 * min(shares):.0f} to"
        f" {100 * max(shares):.0f} % of the time."
    ]


def write(folder: Path, results: Results, clock: Clock) -> list[str]:
    """Write report.md and the plots.  Return the reasons for missing plots."""
    (folder / REPORT).write_text(markdown(results, clock), "utf-8")
    try:
        from benchmarks.plot import draw
    except ImportError as error:
        return [f"no plots: {error} (pip install 'int8ref[bench]')"]
    draw(folder, results, clock)
    return []


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    made.add_argument("folder", type=Path, help="where results.json is")
    made.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="default: wall")
    return made


def main() -> None:
    """Run the command."""
    options = parser().parse_args()
    for problem in write(options.folder, load(options.folder), options.clock):
        print(problem)


if __name__ == "__main__":
    main()
