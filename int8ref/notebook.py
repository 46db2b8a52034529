"""HTML of results for notebooks: tables, tokens, and the heat map of an alignment as inline SVG.

All text is escaped.  The colours are half transparent, and text has the colour of the page, so that
a light page and a dark page can be read.  Nothing is loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from typing import NamedTuple

MOST_TOKENS = 64
"""Largest number of rows and of columns of a heat map, because each cell is an element."""
CELL, LETTER, MARGIN = 18, 7, 8
"""Sizes in pixels: a cell, about the width of a letter, and the margin around a label."""
BLUE = "#3b82f6"
FULL_LOSS = Decimal("0.2")
"""A token with the log-probability -1 / FULL_LOSS or less has the full colour."""


class Cell(NamedTuple):
    """A cell of a heat map: its place, from 0, and its weight, from 0 to 1."""

    row: int
    column: int
    weight: Decimal


def section(*parts: str) -> str:
    """Return parts one below the other."""
    return f'<div style="margin:0.3em 0">{"".join(parts)}</div>'


def note(text: str) -> str:
    """Return a line of small text."""
    return f'<div style="opacity:0.7;font-size:smaller">{escape(text)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of texts and numbers.  None is an empty cell."""
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = (
        "".join(
            f'<td style="text-align:left">{"" if one is None else escape(str(one))}</td>'
            for one in row
        )
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def tokens(texts: Sequence[str], scores: Sequence[Decimal] = ()) -> str:
    """Return tokens side by side.

    The less likely a token is, the more it is coloured, and its tooltip has its log-probability.
    `scores`: the log-probabilities of the last tokens, or none.
    """
    first = len(texts) - len(scores)
    parts = []
    for place, text in enumerate(texts):
        style, title = "border:1px solid rgba(128,128,128,0.4);padding:0 2px;margin:1px", ""
        if place >= first:
            score = scores[place - first]
            colour = min(Decimal(1), -score * FULL_LOSS)
            style += f";background:rgba(239,68,68,{colour * Decimal('0.6'):.3f})"
            title = f' title="{score}"'
        parts.append(f'<span style="{style}"{title}>{escape(text)}</span>')
    return f'<div style="line-height:1.9">{"".join(parts)}</div>'


def heat_map(rows: Sequence[str], columns: Sequence[str], cells: Iterable[Cell]) -> str:
    """Return weights as an SVG.  `rows`, `columns`: the labels.

    A cell is the more coloured, the larger its weight is.  At most MOST_TOKENS rows and columns are
    drawn.
    """
    drawn_rows, drawn_columns = rows[:MOST_TOKENS], columns[:MOST_TOKENS]
    left, top = _room(drawn_rows), _room(drawn_columns)
    width = left + CELL * len(drawn_columns) + MARGIN
    height = top + CELL * len(drawn_rows) + MARGIN
    parts = [
        f'<text x="{left - 4}" y="{top + CELL * place + 13}" text-anchor="end">'
        f"{escape(text)}</text>"
        for place, text in enumerate(drawn_rows)
    ]
    for place, text in enumerate(drawn_columns):
        x, y = left + CELL * place + 13, top - 4
        parts.append(f'<text transform="translate({x},{y}) rotate(-90)">{escape(text)}</text>')
    for cell in cells:
        if cell.weight and cell.row < len(drawn_rows) and cell.column < len(drawn_columns):
            told = f"{columns[cell.column]} \u2192 {rows[cell.row]}: {cell.weight}"
            parts.append(
                f'<rect x="{left + CELL * cell.column}" y="{top + CELL * cell.row}" width="{CELL}"'
                f' height="{CELL}" fill="{BLUE}" fill-opacity="{cell.weight}">'
                f"<title>{escape(told)}</title></rect>"
            )
    frame = (
        f'<rect x="{left}" y="{top}" width="{CELL * len(drawn_columns)}"'
        f' height="{CELL * len(drawn_rows)}" fill="none" stroke="currentColor"'
        ' stroke-opacity="0.4"/>'
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        ' style="max-width:none" font-size="12" font-family="sans-serif" fill="currentColor"'
        f' role="img" aria-label="alignment">{"".join(parts)}{frame}</svg>'
    )
    cut = len(rows) > MOST_TOKENS or len(columns) > MOST_TOKENS
    told = note(f"the first {MOST_TOKENS} tokens") if cut else ""
    return f'<div style="overflow-x:auto">{svg}</div>{told}'


def _room(labels: Sequence[str]) -> int:
    """Return about the length of the longest label in pixels, with its margin."""
    return LETTER * max(map(len, labels), default=0) + MARGIN
