"""Generated blocks of the pages equal the declarations and contracts of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.pages import BLOCK, CONTENT, PAGES, made


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pages_are_as_the_code_says(page: Path) -> None:
    """`python -m tests.helpers.pages` writes the blocks."""
    assert made(page.read_text("utf-8")) == page.read_text("utf-8")


def test_every_table_is_on_a_page() -> None:
    found = [m["name"] for page in PAGES for m in BLOCK.finditer(page.read_text("utf-8"))]
    assert sorted(found) == sorted(CONTENT)
