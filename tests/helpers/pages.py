"""Generates blocks of the pages of docs/: `python -m tests.helpers.pages` writes them.

A page has a block between two lines,

    <!-- NAME: made by tests/helpers/pages.py -->
    <!-- end -->

`tests/test_pages.py` fails if the content of a block differs.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from int8ref.corners import cases_of
from int8ref.golden.vectors import intermediate_values
from int8ref.reference import instructions
from int8ref.spec.instruction import operands_of
from int8ref.spec.operands import (
    Constant,
    Input,
    Number,
    Offsets,
    Operand,
    PerChannel,
    Result,
    Rows,
    Size,
    Tensor,
)

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?P<head><!-- (?P<name>[\w ]+): made by \S+ -->\n)(?P<body>.*?)(?P<end><!-- end -->)", re.S
)


def layers(package: str) -> str:
    """Return the layers of a package, low to high, from its contract in pyproject.toml."""
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (c for c in contracts if c.get("containers") == [package])
    rows = [
        f"| {' '.join(f'`{name}`' for name in names)} |"
        f" {'<br>'.join(_sentence(package, name) for name in names)} |"
        for names in (layer.split(" | ") for layer in reversed(contract["layers"]))
    ]
    return "\n".join(["| layer | |", "|---|---|", *rows])


def _sentence(package: str, name: str) -> str:
    """Return the first paragraph of the docstring of a module or a folder."""
    place = ROOT / package.replace(".", "/") / name
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    found = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(found.partition("\n\n")[0].split())


def operands() -> str:
    """Return the operands of every operation, from their declarations."""
    parts = []
    for op, instruction in sorted(instructions().items()):
        rows = [
            f"| `{name}` | {_numbers(described(operand), instruction)} |"
            for name, operand in operands_of(instruction)
        ]
        parts.append("\n".join([f"**{op}**", "", "| operand | |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _numbers(text: str, instruction: type) -> str:
    """Replace the names of attributes of a class of instructions by their values."""
    found = {n: x for n in dir(instruction) if isinstance(x := getattr(instruction, n), int)}
    return re.sub(r"\b\w+\b", lambda m: str(found.get(m[0], m[0])), text)


def described(operand: Operand) -> str:
    """Describe a declaration in words."""
    match operand:
        case Rows(dtypes=dtypes, width=width, domain=domain):
            where = "" if domain in ("rows", "keys_of") else f", {domain}"
            return f"value, {_types(dtypes)} {_shape(['rows', *_width(width)])}{where}"
        case Input(input=name):
            return f"value, int32 [rows]: the {name} of the rows"
        case Offsets():
            return "value, int32 [sentences + 1]: `source.offsets`"
        case Tensor(dtypes=dtypes, shape=shape, low=low, high=high):
            return f"tensor, {_types(dtypes)} {_shape(map(_text, shape))}{_range(low, high)}"
        case PerChannel(dtypes=dtypes, low=low, high=high, width=width):
            both = f"{_types(dtypes)} [1] or {_shape([_text(width)])}"
            return f"tensor, {both}{_range(low, high)}"
        case Constant(low=low, high=high):
            return f"constant{_range(low, high)}"
        case Result(dtypes=dtypes, width=width, domain=domain):
            where = "" if domain == "rows" else f", {domain}"
            return f"result, {_types(dtypes)} {_shape(['rows', *_width(width)])}{where}"
    raise TypeError(operand)


def _types(dtypes: str) -> str:
    return " or ".join(dtypes.split())


def _width(width: Number | None) -> list[str]:
    return [] if width == 0 else [_text(width)]


def _text(number: Number | None) -> str:
    if number is None:
        return "any"
    return number.text if isinstance(number, Size) else str(number)


def _shape(names: Any) -> str:
    return f"[{', '.join(names)}]"


def _range(low: Number | None, high: Number | None) -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f", at least {_text(low)}"
    return f", {_text(low)} to {_text(high)}"


def intermediates() -> str:
    """Return the intermediate values of every operation, and their widths in the corner cases."""
    rows = ["| operation | intermediate values, with bits |", "|---|---|"]
    for op in sorted(instructions()):
        widths: dict[str, int] = {}
        for case in cases_of(op):
            values = case.values | case.results()
            for name, x in intermediate_values(case.instruction, values, case.tensors).items():
                bits = max(_bits(int(x.min(initial=0))), _bits(int(x.max(initial=0))))
                widths[name] = max(widths.get(name, 0), bits)
        told = ", ".join(f"`{name}` {bits}" for name, bits in widths.items())
        rows.append(f"| `{op}` | {told or 'none'} |")
    return "\n".join(rows)


def _bits(number: int) -> int:
    """Return the width of a signed number."""
    return (number if number >= 0 else -1 - number).bit_length() + 1


CONTENT: dict[str, Callable[[], str]] = {
    "layers of int8ref": lambda: layers("int8ref"),
    "layers of machine": lambda: layers("int8ref.machine"),
    "layers of weights_import": lambda: layers("weights_import"),
    "layers of operations": lambda: layers("weights_import.operations"),
    "layers of lowering": lambda: layers("weights_import.lowering"),
    "operands": operands,
    "intermediates": intermediates,
}
PAGES = (
    ROOT / "docs" / "architecture.md",
    ROOT / "docs" / "arithmetic.md",
    ROOT / "docs" / "vectors.md",
)


def made(page: str) -> str:
    """Return a page with its generated blocks."""
    return BLOCK.sub(lambda m: f"{m['head']}\n{CONTENT[m['name']]()}\n\n{m['end']}", page)


def main() -> None:
    """Write the blocks of all pages."""
    for path in PAGES:
        path.write_text(made(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
