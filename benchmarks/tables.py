"""Markdown tables of the results of a part: speeds by contestant and case, and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.parts.part import Part, Ratio
from benchmarks.results import BlockResults, Clock, Series
from benchmarks.summary import Summary, geometric_mean, paired_ratio, summarize

ONE, BEST = "batch 1", "best batch"
NONE, MEAN = "-", "mean"


@dataclass(frozen=True)
class Figures:
    """The series of a part, by contestant and case."""

    part: Part
    clock: Clock
    series: dict[tuple[str, str], Series]

    @classmethod
    def of(cls, part: Part, blocks: Iterable[BlockResults], clock: Clock) -> Figures:
        """Return the figures of the blocks of a part, with best cases if the part asks for them.

        If a contestant has several threads, the clock is the wall clock, because processor time
        then says nothing about speed.
        """
        if any(contestant.threads > 1 for contestant in part.contestants):
            clock = "wall"
        series = {(s.contestant, s.case): s for block in blocks for s in block.series}
        figures = cls(part, clock, series)
        if part.best:
            for name in figures.contestants():
                own = [s for (who, _), s in series.items() if who == name]
                series[name, BEST] = max(own, key=lambda s: figures.speed(s).median)
        return figures

    def contestants(self) -> list[str]:
        """Return the contestants in the order of the part."""
        present = {name for name, _ in self.series}
        return [c.name for c in self.part.contestants if c.name in present]

    def cases(self) -> list[str]:
        """Return the cases in the order of measurement."""
        return list(dict.fromkeys(case for _, case in self.series))

    def speed(self, series: Series) -> Summary:
        """Return the speed in units per second."""
        return summarize([series.units / s for s in series.seconds(self.clock)])

    def shown(self, series: Series) -> Summary:
        """Return the number of the report: speed, or time."""
        if self.part.unit == "s":
            return summarize(series.seconds(self.clock))
        return self.speed(series)

    def ratio(self, ratio: Ratio, case: str) -> Summary | None:
        """Return the ratio in one case, or None if a contestant is missing."""
        over = self.series.get((ratio.over, case))
        others = [self.series[name, case] for name in ratio.under if (name, case) in self.series]
        if over is None or not others:
            return None
        under = max(others, key=lambda s: self.speed(s).median)
        faster, slower = ([s.units / t for t in s.seconds(self.clock)] for s in (over, under))
        return paired_ratio(faster, slower)


def speeds_table(figures: Figures) -> list[str]:
    """Return medians and spreads.  Contestants are rows, or columns with `cases_are_rows`."""
    rows, columns = figures.contestants(), [c for c in figures.cases() if c != BEST]
    turned = figures.part.cases_are_rows
    if turned:
        rows, columns = columns, rows
    body = []
    for row in rows:
        keys = [(column, row) if turned else (row, column) for column in columns]
        found = [figures.series.get(key) for key in keys]
        body.append([row, *(told(figures.shown(s)) if s else NONE for s in found)])
    return table([figures.part.unit, *columns], body)


def ratios_table(figures: Figures) -> list[str]:
    """Return the ratios of each pair in each case, and their geometric means over similar cases.

    Pairs are rows, or columns with `cases_are_rows`.
    """
    part = figures.part
    found = {
        (ratio_name(ratio), case): summary
        for ratio in part.ratios
        for case in ((ONE, BEST) if part.best else figures.cases())
        if (summary := figures.ratio(ratio, case)) is not None
    }
    pairs, cases = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    cells = {key: told(summary, digits=2) for key, summary in found.items()}
    for mean, alike in {} if part.best else groups(cases).items():
        cases.append(mean)
        for pair in pairs:
            own = [found[pair, case].median for case in alike if (pair, case) in found]
            cells[pair, mean] = f"{geometric_mean(own):.2f}" if own else NONE
    if part.cases_are_rows:
        body = [[case, *(cells.get((pair, case), NONE) for pair in pairs)] for case in cases]
        return table(["ratio of speeds", *pairs], body)
    body = [[pair, *(cells.get((pair, case), NONE) for case in cases)] for pair in pairs]
    return table(["ratio of speeds", *cases], body)


def groups(cases: Sequence[str]) -> dict[str, list[str]]:
    """Return groups of cases to average, by the name of their mean.

    The names of the cases of a group are equal up to the first comma.  A single case has no mean.
    """
    found: dict[str, list[str]] = {}
    for case in cases:
        kind = case.split(", ")[0] if ", " in case else ""
        found.setdefault(f"{MEAN}, {kind}" if kind else MEAN, []).append(case)
    return {name: alike for name, alike in found.items() if len(alike) > 1}


def best_table(figures: Figures) -> list[str]:
    """Return the speed at batch 1, and the best case with its speed, for each contestant."""
    rows = []
    for name in figures.contestants():
        one, best = figures.series.get((name, ONE)), figures.series[name, BEST]
        speed = told(figures.speed(one)) if one else NONE
        rows.append([name, speed, told(figures.speed(best)), best.case])
    return table([figures.part.unit, ONE, BEST, "which"], rows)


def memory_table(figures: Figures) -> list[str]:
    """Return the peak resident memory after the first case, and the peak over all cases."""
    rows = []
    for name in figures.contestants():
        own = [s.memory for (who, _), s in figures.series.items() if who == name]
        rows.append([name, *(f"{memory * 1024 / 1e6:.0f}" for memory in (own[0], max(own)))])
    return table(["peak memory, MB", "first case", "all cases"], rows)


def ratio_name(ratio: Ratio) -> str:
    """Return "A / B", or "A / the faster of B and C"."""
    if len(ratio.under) == 1:
        return f"{ratio.over} / {ratio.under[0]}"
    return f"{ratio.over} / the faster of {' and '.join(ratio.under)}"


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, or no lines for a table without rows."""
    rows = [list(row) for row in body]
    if not rows:
        return []
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in ([*head], rule, *rows)]


def told(summary: Summary, digits: int | None = None) -> str:
    """Format a median with three digits (or `digits` decimals), and the spread in per cent."""
    value = summary.median
    if digits is None:
        digits = 0 if value >= 100 else 1 if value >= 10 else 3
    return f"{value:,.{digits}f} ±{100 * summary.spread:.0f} %"
