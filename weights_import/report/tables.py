"""The tables of a report: what a walk found, as rows for the page and for CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from weights_import.report.losses import Loss
from weights_import.report.measures import BINS, Measures, decibels, described
from weights_import.report.units import Unit
from weights_import.report.walk import Findings

SINGLE, GROWTH = 16, 1.3
"""The number of places with a bin of their own, and the growth of the bins behind."""


@dataclass(frozen=True)
class Table:
    """Rows under names of columns; every row has all columns."""

    columns: tuple[str, ...]
    rows: list[list[Any]]

    @classmethod
    def of(cls, rows: Iterable[dict[str, Any]]) -> Table:
        found = list(rows)
        return cls(tuple(found[0]) if found else (), [list(row.values()) for row in found])

    def csv(self) -> bytes:
        """The table as CSV (RFC 4180), UTF-8.  An absent number is an empty field."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue().encode()


def operations(units: Sequence[Unit], found: Findings) -> Table:
    """Each unit alone in integers, the largest loss first."""
    total = sum(one.mean for one in found.units.values())
    order = sorted(
        (unit for unit in units if unit.name in found.units),
        key=lambda unit: -found.units[unit.name].mean,
    )
    return Table.of(_operation(unit, found, total) for unit in order)


def _operation(unit: Unit, found: Findings, total: float) -> dict[str, Any]:
    loss = found.units[unit.name]
    result = min(unit.outputs, key=len)
    measures = min(
        (found.values[name] for name in unit.outputs),
        key=lambda one: decibels(one.signal, one.alone) or 0.0,
    )
    return {
        "operation": result.removesuffix(".wide"),
        "instructions": " ".join(dict.fromkeys(one.op for one in unit.instructions)),
        "loss": loss.mean,
        "share": loss.mean / total if total else 0.0,
        "changed": loss.changed / loss.rows if loss.rows else 0.0,
        "alone_db": decibels(measures.signal, measures.alone),
        "accumulated_db": decibels(measures.signal, measures.accumulated),
    }


def values(found: Findings) -> Table:
    """The measures of every value, in the order of the Program."""
    return Table.of(dict(described(name, one)) for name, one in found.values.items())


def positions(found: Findings) -> Table:
    """The loss by the place of a row in its text."""
    rows = found.places or {i: loss.of for i, loss in found.rows.items()}
    places = np.concatenate([np.arange(len(x)) for x in rows.values()])
    return _binned("position", places, np.concatenate(list(rows.values())))


def lengths(found: Findings, sizes: Sequence[int]) -> Table:
    """The mean loss of a text by its number of tokens."""
    means = [float(found.rows[i].of.mean()) for i in sorted(found.rows)]
    return _binned("tokens", np.array(sizes), np.array(means))


def _binned(what: str, places: np.ndarray, losses: np.ndarray) -> Table:
    edges = _edges(int(places.max(initial=0)) + 1)
    return Table.of(
        {
            f"{what}_from": low,
            f"{what}_to": high - 1,
            "rows": int(inside.sum()),
            "loss": float(losses[inside].mean()),
            "largest": float(losses[inside].max()),
        }
        for low, high in pairwise(edges)
        if (inside := (places >= low) & (places < high)).any()
    )


def _edges(end: int) -> list[int]:
    found = list(range(min(SINGLE, end) + 1))
    while found[-1] < end:
        found.append(max(found[-1] + 1, int(found[-1] * GROWTH)))
    return found


def sentences(found: Findings, lines: Sequence[str], texts: Sequence[dict[str, Any]]) -> Table:
    """Every sentence, the largest mean loss first; `texts` are further columns."""
    order = sorted(found.rows, key=lambda i: -float(found.rows[i].of.mean()))
    return Table.of(
        {"line": i + 1, **_sentence(found.rows[i]), "text": lines[i], **texts[i]} for i in order
    )


def _sentence(loss: Loss) -> dict[str, Any]:
    return {
        "loss": float(loss.of.mean()),
        "largest": float(loss.of.max(initial=0)),
        "rows": len(loss.of),
        "changed": int(np.count_nonzero(loss.changed)),
    }


def histograms(found: Findings) -> Table:
    """The histograms of all values in 8 or 16 bits: where their floats lie on the integers."""
    return Table.of(
        {"value": name, "from": low, "to": high, "count": count}
        for name, one in found.values.items()
        if one.histogram.any()
        for low, high, count in _bins(one)
    )


def _bins(one: Measures) -> Iterator[tuple[int, int, int]]:
    reach = 2 ** (one.bits - 1)
    width = reach * 4 // BINS
    for i, count in enumerate(one.histogram.tolist()):
        yield i * width - 2 * reach, (i + 1) * width - 2 * reach, count


def worst_histograms(found: Findings, count: int) -> list[dict[str, Any]]:
    """The histograms of the values in 8 bits whose own operation loses most, for the page."""
    narrow = [(n, m) for n, m in found.values.items() if m.bits == 8 and m.histogram.any()]
    order = sorted(narrow, key=lambda pair: decibels(pair[1].signal, pair[1].alone) or 0.0)
    return [
        {
            "value": name,
            "alone_db": decibels(one.signal, one.alone),
            "clipped": one.clipped / one.count if one.count else 0.0,
            "bins": one.histogram.tolist(),
        }
        for name, one in order[:count]
    ]
