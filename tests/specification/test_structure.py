"""Sections and rules of the specification have numbers, and references lead to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from int8ref.reference import instructions

SPECIFICATION = Path(__file__).parents[2] / "docs" / "specification"
PAGES = sorted(SPECIFICATION.rglob("*.md"))
NUMBERED = [page for page in PAGES if page.name != "README.md" or page.parent != SPECIFICATION]
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
SECTION = re.compile(r"^(\d+(?:\.\d+)*) ")
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]*)(?:#([^)\s]+))?\)(?: \((\d+)\))?")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
RULE = re.compile(r"^(\d+)\. ", re.MULTILINE)


def prose(page: Path) -> str:
    """Return a page without code."""
    return FENCED.sub("", page.read_text("utf-8"))


def anchor(heading: str) -> str:
    """Return the anchor that a heading has on a page."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def sections(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the heading and the text of each section of a page."""
    parts = HEADING.split(prose(page))
    yield from zip(parts[2::3], parts[3::3], strict=True)


def number(heading: str) -> tuple[int, ...] | None:
    found = SECTION.match(f"{heading} ")
    return None if found is None else tuple(map(int, found[1].split(".")))


def test_sections_are_in_order() -> None:
    """No number is there twice, and none is left out."""
    found = [n for page in NUMBERED for heading, _ in sections(page) if (n := number(heading))]
    for before, after in pairwise(sorted(found)):
        parent = after[:-1]
        assert after != before
        follows = after[-1] == 1 if before[: len(after)] != (*parent, after[-1] - 1) else True
        assert follows, (before, after)
    assert {n[0] for n in found} == set(range(1, 13))


@pytest.mark.parametrize("page", NUMBERED, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_rules_are_numbered_without_a_gap(page: Path) -> None:
    for heading, text in sections(page):
        found = [int(n) for n in RULE.findall(text)]
        assert found == list(range(1, len(found) + 1)), heading


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_references_lead_to_sections(page: Path) -> None:
    """A link has an anchor that exists.  A link with a number has the number of its section."""
    for text, path, name, rule in LINK.findall(prose(page)):
        if "://" in path or not (path.endswith(".md") or not path):
            continue
        target = (page.parent / path).resolve() if path else page
        headings = {anchor(heading): (heading, body) for heading, body in sections(target)}
        assert not name or name in headings, (text, path, name)
        if not re.fullmatch(r"(?:[Ss]ection )?[\d.]+", text):
            continue
        wanted = text.split()[-1]
        heading, body = headings[name] if name else next(iter(headings.values()))
        assert heading.split()[0] == wanted, (text, heading)
        assert not rule or rule in RULE.findall(body), (text, rule)


def test_every_operation_has_a_section_with_tables() -> None:
    operations = {
        heading.split()[-1]: text for page in NUMBERED for heading, text in sections(page)
    }
    for op in instructions():
        assert op in operations, op
        for block in (f"<!-- operands of {op}:", f"<!-- widths of {op}:"):
            assert block in operations[op], op


def test_the_index_has_every_page() -> None:
    text = (SPECIFICATION / "README.md").read_text("utf-8")
    for path in SPECIFICATION.iterdir():
        name = f"{path.name}/README.md" if path.is_dir() else path.name
        assert f"({name})" in text or name == "README.md", name
