"""An audit as plain text, with columns that line up."""

from __future__ import annotations

from collections.abc import Sequence

from int8ref.auditing.document import Audit
from int8ref.auditing.tables import Cell, Table, facts, tables


def text(audit: Audit) -> bytes:
    """The facts and the tables."""
    width = max(len(name) for name, _ in facts(audit))
    head = [f"{name:{width}}  {shown(content)}" for name, content in facts(audit)]
    parts = ["\n".join(head), *map(_table, tables(audit))]
    return ("\n\n".join(parts) + "\n").encode()


def _table(table: Table) -> str:
    rows = [table.heads, *[[_cell(cell) for cell in row] for row in table.rows]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = [
        all(not isinstance(cell, str) for cell in column)
        for column in zip(*table.rows, strict=True)
    ] or [False] * len(widths)
    lines = [_line(row, widths, numbers) for row in rows]
    return "\n".join([table.title, table.about, "", *lines])


def _line(row: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    cells = (
        cell.rjust(width) if number else cell.ljust(width)
        for cell, width, number in zip(row, widths, numbers, strict=True)
    )
    return "  ".join(cells).rstrip()


def _cell(cell: Cell) -> str:
    if cell is None:
        return "-"
    return shown(cell) if isinstance(cell, str) else f"{cell:,}"


def shown(content: str) -> str:
    """A text without control characters, because names come from the model file."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in content)
