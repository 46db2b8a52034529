"""Parts of pages that the code declares, made when the site is built.

- `<!-- commands -->` on a page becomes the help of every command, from its parser.
- The pages of the specification get a table of contents in the menu of the site.
- A page of docs/ that docs/index.md does not name is at the end of the menu.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from tests.helpers.commands import PARSERS

CONTENTS = {
    "docs/specification/README": "[0-1]*\n06-operations/README",
    "docs/specification/06-operations/README": "0*",
}
"""Pages of the menu below a page, as patterns."""


def others(index: str) -> list[str]:
    """Return the pages of docs/ that its index does not name."""
    found = (path.stem for path in (Path(__file__).parents[1]).glob("*.md"))
    return sorted(name for name in found if not re.search(rf"(?:^|<){name}>?$", index, re.M))


def commands() -> str:
    """Return the help of every command in Markdown."""
    os.environ["COLUMNS"] = "80"
    return "\n".join(
        f"## {module}\n\n```text\n{parser().format_help()}```\n"
        for module, parser in PARSERS.items()
    )


def read(app: object, name: str, source: list[str]) -> None:
    """Put generated parts into the source of a page."""
    if "<!-- commands -->" in source[0]:
        source[0] = source[0].replace("<!-- commands -->", commands())
    if name in CONTENTS:
        source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{CONTENTS[name]}\n```\n"
    if name == "docs/index":
        more = "\n".join(page for page in others(source[0]) if page != "index")
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: More\n\n{more}\n```\n" * bool(more)


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
