"""The ranges of the intermediates of every operation, as functions of its parameters.

`tests.helpers.width_tables` has the ranges.  `tests.helpers.pages` prints them to
docs/specification/06-operations/.  `tests/specification/test_widths.py` compares them with the
locals of the reference functions.  A formula is Python with ^ for powers and / for divisions that
round down.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt


@dataclass(frozen=True)
class Range:
    """An intermediate: its name on the page, its least and its greatest value.

    `function`, `local`: the expression of this value among the locals of a function of the
    reference.
    """

    name: str
    low: str
    high: str
    function: str
    local: str

    def of(self, parameters: dict[str, int]) -> tuple[int, int]:
        """The least and the greatest value for these parameters."""
        return evaluate(self.low, parameters), evaluate(self.high, parameters)


@dataclass(frozen=True)
class Widths:
    """The intermediates of an operation, and the parameters for which the page prints bits.

    `where` explains the names of parameters.
    """

    ranges: tuple[Range, ...]
    settings: tuple[tuple[str, dict[str, int]], ...] = (("bits", {}),)
    where: str = ""


def evaluate(formula: str, parameters: dict[str, int]) -> int:
    """The value of a formula."""
    code = formula.replace("^", "**").replace("/", "//")
    known = {"isqrt": isqrt, "min": min, "max": max, "bit_length": int.bit_length}
    return int(eval(code, {"__builtins__": {}}, known | parameters))


def bits(low: int, high: int) -> int:
    """Bits of a register for numbers in [low, high]; without a sign if low is at least 0."""
    if low >= 0:
        return high.bit_length()
    return max(high.bit_length(), (-low - 1).bit_length()) + 1


def both(name: str, magnitude: str, function: str, local: str) -> Range:
    """A range from -magnitude to magnitude."""
    return Range(name, f"-({magnitude})", magnitude, function, local)


def unsigned(name: str, high: str, function: str, local: str) -> Range:
    """A range from 0."""
    return Range(name, "0", high, function, local)


def table(widths: Widths | None) -> str:
    """The table of an operation."""
    if widths is None:
        return "There is no intermediate: the operation copies and compares."
    head = " | ".join(label for label, _ in widths.settings)
    lines = [
        f"| intermediate | least | greatest | {head} |",
        "|" + "---|" * (3 + len(widths.settings)),
    ]
    for one in widths.ranges:
        least = "-greatest" if one.low == f"-({one.high})" else one.low
        cells = [_bits(one, parameters) for _, parameters in widths.settings]
        lines.append(f"| {one.name} | {least} | {one.high} | {' | '.join(cells)} |")
    return "\n".join([*([widths.where, ""] if widths.where else []), *lines])


def _bits(one: Range, parameters: dict[str, int]) -> str:
    low, high = one.of(parameters)
    return f"{bits(low, high)}{' u' if low >= 0 else ''}"
