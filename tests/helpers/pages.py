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
from functools import partial
from pathlib import Path
from typing import Any

from int8ref.corners import cases_of
from int8ref.golden.vectors import intermediate_values
from int8ref.reference import instructions
from tests.helpers import schemas, specification, widths

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
    "intermediates": intermediates,
    **specification.BLOCKS,
    **{f"operands of {op}": partial(specification.operands, op) for op in instructions()},
    **{f"widths of {op}": partial(widths.table, widths.WIDTHS.get(op)) for op in instructions()},
}
SPECIFICATION = ROOT / "docs" / "specification"
PAGES = (
    ROOT / "docs" / "architecture.md",
    ROOT / "docs" / "vectors.md",
    *sorted(SPECIFICATION.rglob("*.md")),
)


def made(page: str) -> str:
    """Return a page with its generated blocks."""
    return BLOCK.sub(lambda m: f"{m['head']}\n{CONTENT[m['name']]()}\n\n{m['end']}", page)


def main() -> None:
    """Write the blocks of all pages, and the schemas."""
    for path in PAGES:
        path.write_text(made(path.read_text("utf-8")), "utf-8")
    for name in schemas.ROOTS:
        (SPECIFICATION / name).write_text(schemas.schema(name), "utf-8")


if __name__ == "__main__":
    main()
