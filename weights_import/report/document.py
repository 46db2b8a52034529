"""The document of a report: everything that its page shows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from int8ref.text.tokenizers import TextTokenizer
from weights_import.report import tables
from weights_import.report.attention import heads
from weights_import.report.tables import Table
from weights_import.report.texts import Text, first_difference
from weights_import.report.walk import Findings, Walk
from weights_import.tensors import Float64

SHOWN = 24
"""The number of sentences on the page; the CSV has all."""
HISTOGRAMS, HEADS = 9, 12
"""The number of histograms and of heads of attention on the page."""
MAP_TOKENS = 40
"""The most tokens of the sentence whose attention is shown."""
PAIRED = 400
"""The most texts that are compared with each other."""


@dataclass(frozen=True)
class Report:
    """The tables by name, and what the page shows besides."""

    tables: dict[str, Table]
    document: dict[str, Any]


class Writer:
    """Makes a report of what a walk found.

    text     the sentences
    readers  the tokenizers of source and target
    labels   the names of the labels of an encoder that classifies
    """

    def __init__(
        self,
        walk: Walk,
        text: Text,
        readers: tuple[TextTokenizer, TextTokenizer],
        labels: Sequence[str],
    ) -> None:
        self.walk, self.text, self.readers, self.labels = walk, text, readers, labels
        model = walk.model
        self.tokens = bool(walk.twins.program.logits) and not model.encodes
        self.kind = (
            ("labels" if walk.twins.program.logits else "embedding")
            if model.encodes
            else ("translation" if model.translates else "language")
        )

    def report(self, found: Findings, title: str, facts: list[list[str]]) -> Report:
        """The report of a walk."""
        sizes = [
            len(ids)
            for ids in (self.text.sources if self.walk.model.translates else self.text.targets)
        ]
        texts = [self._texts(i, found) for i in range(len(self.text.lines))]
        made = {
            "operations": tables.operations(self.walk.twins.units, found),
            "values": tables.values(found),
            "positions": tables.positions(found),
            "lengths": tables.lengths(found, sizes),
            "sentences": tables.sentences(found, self.text.lines, texts),
            "histograms": tables.histograms(found),
        }
        shown, every = self._attention(found)
        made["attention"] = every
        if self.kind == "embedding":
            made["pairs"] = self._pairs(found)
        on_page = ("operations", "values", "positions", "lengths", "pairs")
        document = {
            "title": title,
            "kind": self.kind,
            "facts": facts,
            "whole": {
                "loss": found.whole.mean,
                "sum": sum(one.mean for one in found.units.values()),
                "changed": found.whole.changed / max(found.whole.rows, 1),
                "rows": found.whole.rows,
                "texts": len(self.text.lines),
                "same": self._same(),
            },
            "tables": {
                n: {"columns": t.columns, "rows": t.rows} for n, t in made.items() if n in on_page
            },
            "sentences": self._sentences(found),
            "histograms": tables.worst_histograms(found, HISTOGRAMS),
            "attention": shown,
        }
        return Report(made, document)

    def _same(self) -> int | None:
        """The number of equal translations; None without translations."""
        if self.kind != "translation":
            return None
        return sum(a == b for a, b in zip(self.text.floats, self.text.integers, strict=True))

    def _texts(self, i: int, found: Findings) -> dict[str, Any]:
        """What both models make of a text, for the table of sentences."""
        if self.kind == "translation":
            decode = self.readers[1].decode
            return {"float": decode(self.text.floats[i]), "integer": decode(self.text.integers[i])}
        loss = found.rows[i]
        if self.kind == "labels":
            return {"float": self._label(loss.exact[0]), "integer": self._label(loss.found[0])}
        if self.kind == "embedding":
            return {}
        at = np.flatnonzero(loss.changed)
        if not len(at):
            return {"float": "", "integer": ""}
        pieces = self.readers[1].pieces
        first = int(at[0])
        return {
            "float": pieces([int(loss.exact[first])])[0],
            "integer": pieces([int(loss.found[first])])[0],
        }

    def _label(self, number: int) -> str:
        return self.labels[number] if number < len(self.labels) else str(number)

    def _sentences(self, found: Findings) -> list[dict[str, Any]]:
        """The sentences of the largest loss, with the tokens of both texts."""
        order = sorted(found.rows, key=lambda i: -float(found.rows[i].of.mean()))[:SHOWN]
        return [self._sentence(i, found) for i in order]

    def _sentence(self, i: int, found: Findings) -> dict[str, Any]:
        loss = found.rows[i]
        made = {
            "line": i + 1,
            "loss": float(loss.of.mean()),
            "text": self.text.lines[i],
            "losses": [float(f"{x:.3g}") for x in loss.of],
        }
        pieces = self.readers[1].pieces
        if self.kind == "translation":
            both = self.text.floats[i], self.text.integers[i]
            return made | {
                "float": pieces(both[0]),
                "integer": pieces(both[1]),
                "first": first_difference(*both),
            }
        if self.kind == "language":
            read = self.text.targets[i][1:]
            at = np.flatnonzero(loss.changed)
            first = int(at[0]) if len(at) else None
            return made | {
                "float": pieces(read),
                "first": first,
                "choices": None
                if first is None
                else [pieces([int(x[first])])[0] for x in (loss.exact, loss.found)],
            }
        if self.kind == "labels":
            return made | {"labels": [self._label(x[0]) for x in (loss.exact, loss.found)]}
        places = found.places[i]
        return made | {
            "float": self.readers[0].pieces(self.text.sources[i]),
            "losses": [float(f"{x:.3g}") for x in places],
        }

    def _attention(self, found: Findings) -> tuple[dict[str, Any], Table]:
        """The heads that differ most on one sentence, and the distance of all heads."""
        sizes = [
            max(len(a), len(b)) for a, b in zip(self.text.sources, self.text.targets, strict=True)
        ]
        order = sorted(found.rows, key=lambda i: -float(found.rows[i].of.mean()))
        chosen = next((i for i in order if 3 <= sizes[i] <= MAP_TOKENS), int(np.argmin(sizes)))
        part = self.walk.part([self.text.sources[chosen]], [self.text.targets[chosen]])
        floats = self.walk.floats(part)
        integers = self.walk.integers.accumulated(part)
        every = sorted(heads(part, floats, self.walk.integers, integers), key=lambda h: -h.distance)
        table = Table.of(
            {"attention": h.name, "head": h.number, "over": h.over, "distance": h.distance}
            for h in every
        )
        source = self.readers[0].pieces(self.text.sources[chosen])
        target = (
            ["\u25b8", *self.readers[1].pieces(self.text.targets[chosen][1:])]
            if self.text.targets[chosen]
            else []
        )
        shown = [
            {
                "attention": h.name,
                "head": h.number,
                "distance": h.distance,
                "rows": "source"
                if len(h.floats) == len(source) and h.name in self._encoder
                else "target",
                "keys": h.over,
                "shape": list(h.floats.shape),
                "float": _bytes(h.floats),
                "integer": _bytes(h.integers),
            }
            for h in every[:HEADS]
        ]
        return {"line": chosen + 1, "source": source, "target": target, "heads": shown}, table

    @property
    def _encoder(self) -> set[str]:
        return {operation.out for operation in self.walk.twins.program.encoder}

    def _pairs(self, found: Findings) -> Table:
        """The pairs of texts whose cosine changes most."""
        outputs = found.outputs[:PAIRED]
        exact, other = (_cosines([pair[side] for pair in outputs]) for side in (0, 1))
        order = sorted(
            combinations(range(len(outputs)), 2), key=lambda p: -abs(exact[p] - other[p])
        )
        return Table.of(
            {
                "first": self.text.lines[a],
                "second": self.text.lines[b],
                "float": float(exact[a, b]),
                "integer": float(other[a, b]),
                "change": float(other[a, b] - exact[a, b]),
            }
            for a, b in order[:SHOWN]
        )


def _cosines(rows: Sequence[Any]) -> Float64:
    x = np.stack(rows).astype(np.float64)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
    found: Float64 = x @ x.T
    return found


def _bytes(weights: Float64) -> str:
    """Weights from 0 to 1 as bytes from 0 to 255, in base64."""
    return base64.b64encode(np.rint(weights * 255).astype(np.uint8).tobytes()).decode()
