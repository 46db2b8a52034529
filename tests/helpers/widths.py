"""The ranges of the intermediates of every operation, as functions of its parameters.

`widths.toml` has the ranges.  `tests.helpers.pages` prints them to
docs/specification/06-operations/.  `tests/specification/test_widths.py` compares them with the
locals of the reference functions.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

NEGATIVE = "-"
FUNCTIONS = {"isqrt": isqrt, "min": min, "max": max, "bit_length": int.bit_length}

Parameters = dict[str, int]


@dataclass(frozen=True)
class Range:
    """An intermediate: its name on the page, its least and its greatest value.

    `function`, `local`: the expression of this value among the locals of a function of the
    reference.  `recorded`: its name among the intermediate values of vectors; empty if there is
    none.
    """

    name: str
    low: str
    high: str
    function: str
    local: str
    recorded: str = ""

    def of(self, parameters: Parameters) -> tuple[int, int]:
        """The least and the greatest value for these parameters."""
        high = evaluate(self.high, parameters)
        return -high if self.low == NEGATIVE else evaluate(self.low, parameters), high


@dataclass(frozen=True)
class Widths:
    """The intermediates of an operation, and the parameters for which the page prints bits.

    `where` explains the names of parameters.
    """

    ranges: tuple[Range, ...]
    settings: tuple[tuple[str, Parameters], ...]
    where: str


def evaluate(formula: str, parameters: Parameters) -> int:
    """The value of a formula."""
    code = formula.replace("^", "**").replace("/", "//")
    return int(eval(code, {"__builtins__": {}}, FUNCTIONS | parameters))


def bits(low: int, high: int) -> int:
    """Bits of a register for numbers in [low, high]; without a sign if low is at least 0."""
    if low >= 0:
        return high.bit_length()
    return max(max(high, 0).bit_length(), (-low - 1).bit_length()) + 1


def table(widths: Widths | None) -> str:
    """The table of an operation."""
    if widths is None:
        return "There is no intermediate: the operation copies and compares."
    head = " | ".join(label for label, _ in widths.settings)
    lines = [
        f"| intermediate | least | greatest | {head} | recorded as |",
        "|" + "---|" * (4 + len(widths.settings)),
    ]
    for one in widths.ranges:
        least = "-greatest" if one.low == NEGATIVE else one.low
        cells = [_bits(one, parameters) for _, parameters in widths.settings]
        recorded = f"`{one.recorded}`" if one.recorded else ""
        lines.append(f"| {one.name} | {least} | {one.high} | {' | '.join(cells)} | {recorded} |")
    return "\n".join([*([widths.where, ""] if widths.where else []), *lines])


def _bits(one: Range, parameters: Parameters) -> str:
    low, high = one.of(parameters)
    return f"{bits(low, high)}{' u' if low >= 0 else ''}"


def _read() -> dict[str, Widths]:
    told: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    shared = told.pop("shared")
    return {op: _widths(entry, shared) for op, entry in told.items()}


def _widths(entry: dict[str, Any], shared: dict[str, Any]) -> Widths:
    rows = [
        row for one in entry["ranges"] for row in (shared[one] if isinstance(one, str) else [one])
    ]
    settings = tuple(
        (name, {key: evaluate(str(x), {}) for key, x in parameters.items()})
        for name, parameters in entry.get("settings", [["bits", {}]])
    )
    return Widths(tuple(Range(*row) for row in rows), settings, entry.get("where", ""))


WIDTHS = _read()
