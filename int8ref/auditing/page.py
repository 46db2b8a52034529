"""An audit as one HTML page that needs nothing else: no network, no font, no other file.

The page has light and dark colours, by the setting of the reader.  A click on the head of a column
sorts its table.  The policy in the page forbids every request.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from int8ref.auditing.document import Audit
from int8ref.auditing.tables import Cell, Table, facts, tables
from int8ref.auditing.text import shown

BITS = {"bits": "proved", "bits seen": "seen"}
"""Columns that have a bar, and the class of the bar."""
WIDEST = 64


def page(audit: Audit) -> bytes:
    """The page."""
    folder = Path(__file__).parent
    found = tables(audit)
    links = "".join(f'<a href="#{_id(table)}">{escape(table.title)}</a>' for table in found)
    made = Template(folder.joinpath("page.html").read_text("utf-8")).substitute(
        title=_safe(audit.model),
        style=folder.joinpath("page.css").read_text("utf-8"),
        script=folder.joinpath("page.js").read_text("utf-8"),
        facts="".join(f"<dt>{escape(n)}</dt><dd>{_safe(c)}</dd>" for n, c in facts(audit)),
        cards="".join(_card(value, name) for value, name in _cards(audit)),
        links=links,
        tables="".join(map(_table, found)),
    )
    return made.encode()


def _cards(audit: Audit) -> list[tuple[str, str]]:
    """The numbers at the top: (number, meaning)."""
    widest = max((t.largest_accumulator_bits for t in audit.totals), default=0)
    linear = [r.bits for row in audit.instructions if row.op == "linear" for r in row.registers
              if r.name == "acc"]  # fmt: skip
    found = [
        (f"{audit.tensor_bytes:,}", "bytes of tensors"),
        *((f"{t.multiplications:,}", f"multiplications, {t.sequence}") for t in audit.totals),
        (str(max(linear, default=0)), "bits, accumulators of products"),
        (str(widest), "bits, widest sum"),
    ]
    if audit.machine is not None:
        found.append((str(len(audit.machine.floating)), "floating-point instructions"))
    return found


def _card(value: str, name: str) -> str:
    return f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>"


def _table(table: Table) -> str:
    heads = "".join(map(_head, table.heads, zip(*table.rows, strict=True)))
    rows = "".join(f"<tr>{''.join(map(_cell, table.heads, row))}</tr>" for row in table.rows)
    return (
        f'<section id="{_id(table)}"><h2>{escape(table.title)}</h2><p>{escape(table.about)}</p>'
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></section>"
    )


def _head(head: str, column: tuple[Cell, ...]) -> str:
    kind = "" if any(isinstance(cell, str) for cell in column) else ' class="numbers"'
    return f'<th scope="col" tabindex="0"{kind}>{escape(head)}</th>'


def _cell(head: str, cell: Cell) -> str:
    if cell is None:
        return '<td class="none">-</td>'
    if isinstance(cell, str):
        return f"<td>{_safe(cell)}</td>"
    bar = ""
    if head in BITS:
        share = min(100, 100 * cell // WIDEST)
        bar = f'<i class="{BITS[head]}" style="width:{share}%"></i>'
    return f'<td class="number" data-value="{cell}">{bar}<span>{cell:,}</span></td>'


def _id(table: Table) -> str:
    return table.title.lower().replace(" ", "-")


def _safe(content: str) -> str:
    return escape(shown(content))
