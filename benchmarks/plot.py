"""Draws results as SVG plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.parts import PARTS
from benchmarks.parts.part import Part
from benchmarks.results import Clock, Results
from benchmarks.tables import BEST, Figures

BARS = ("start", "tiny11", "small", "base")
SWEEPS = ("length", "batch")
WIDTH, HEIGHT = 10.0, 3.2


def draw(folder: Path, results: Results, clock: Clock) -> None:
    """Write speed.svg (a bar for each contestant and case) and cost.svg (over length and batch)."""
    for name, parts, plot in (("speed", BARS, _bars), ("cost", SWEEPS, _lines)):
        measured = [PARTS[part] for part in parts if any(b.series for b in results.of(part))]
        if not measured:
            continue
        figure = Figure(figsize=(WIDTH, HEIGHT * len(measured)), layout="constrained")
        axes = figure.subplots(len(measured), squeeze=False)[:, 0]
        for part, panel in zip(measured, axes, strict=True):
            plot(panel, part, Figures.of(part, results.of(part.name), clock))
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def _bars(panel: Any, part: Part, figures: Figures) -> None:
    """Draw a group of bars for each case.

    If batch sizes differ between contestants, draw batch 1 and the best case.
    """
    cases = ["batch 1", BEST] if part.best else figures.cases()
    names = figures.contestants()
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        found = [(x, figures.series.get((name, case))) for x, case in enumerate(cases)]
        shown = [(x + (index + 0.5) * width, figures.shown(s)) for x, s in found if s]
        panel.bar(
            [x for x, _ in shown],
            [s.median for _, s in shown],
            width,
            yerr=[s.median * s.spread for _, s in shown],
            label=name,
        )
    labels = [case.replace(", ", "\n") for case in cases]
    panel.set_xticks([x + 0.4 for x in range(len(cases))], labels)
    _finish(panel, part)


def _lines(panel: Any, part: Part, figures: Figures) -> None:
    """Draw the speed over the number in the name of each case."""
    for name in figures.contestants():
        own = [(number(case), s) for (who, case), s in figures.series.items() if who == name]
        shown = [(x, figures.shown(s)) for x, s in sorted(own, key=lambda pair: pair[0])]
        panel.errorbar(
            [x for x, _ in shown],
            [s.median for _, s in shown],
            [s.median * s.spread for _, s in shown],
            marker="o",
            label=name,
        )
    panel.set_xscale("log", base=2)
    ticks = [number(case) for case in figures.cases()]
    panel.set_xticks(ticks, figures.cases())
    _finish(panel, part)


def _finish(panel: Any, part: Part) -> None:
    panel.set_title(part.title, fontsize="medium", loc="left")
    panel.set_ylabel(part.unit)
    panel.set_ylim(bottom=0)
    panel.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1))
    panel.grid(axis="y", alpha=0.3)


def number(case: str) -> int:
    """Return the number in the name of a case."""
    digits: Sequence[str] = [word for word in case.split() if word.isdigit()]
    return int(digits[0])
