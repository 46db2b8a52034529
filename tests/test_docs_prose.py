"""The prose of pages and docstrings is plain English."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.helpers.pages import BLOCK as GENERATED
from tests.helpers.prose import dialect

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "training" / "README.md"])


def test_dialect_is_found() -> None:
    for hard in (
        "It draws so many tokens.",
        "It says what it reads.",
        "Its weights and those\nof the other model.",
        "Its speed is that of the other model.",
        "The reason is told.",
        "As Marian has it, the end comes last.",
        "Keys of a batch fit the cache not, and are read again.",
    ):
        assert len(dialect(hard)) == 1, hard
    for plain in (
        "The keys do not fit the cache.",
        "The keys fit, and the values do not.",
        "The order is fixed, so that of two equal scores the first wins.",
        "The option `so many` and\n\n```sh\necho what it\n```\n",
        "It prints:\n\n    those of\n\nThen it ends.",
        ">>> those.of('that of')\nTrue",
    ):
        assert dialect(plain) == [], plain


SOURCES = [
    path for package in ("int8ref", "weights_import") for path in (ROOT / package).rglob("*.py")
]


@pytest.mark.parametrize("path", sorted(SOURCES), ids=lambda p: p.stem)
def test_docstrings_are_in_plain_english(path: Path) -> None:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    found = {getattr(n, "name", "module"): dialect(ast.get_docstring(n) or "") for n in nodes}
    assert {name: phrases for name, phrases in found.items() if phrases} == {}


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "benchmarks" / "README.md"], ids=lambda page: page.name
)
def test_pages_are_in_plain_english(page: Path) -> None:
    """Tables that are made of docstrings are left out: they are as plain as the docstrings."""
    assert dialect(GENERATED.sub("", page.read_text("utf-8"))) == []
