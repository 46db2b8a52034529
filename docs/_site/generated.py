"""Parts of pages that the code declares, made when the site is built.

- `<!-- commands -->` on a page becomes the help of every command, from its parser.
- The pages of the specification get a table of contents in the menu of the site.
"""

from __future__ import annotations

import os
from typing import Any

from tests.helpers.commands import PARSERS

CONTENTS = {
    "docs/specification/README": "[0-1]*\n06-operations/README",
    "docs/specification/06-operations/README": "0*",
}
"""Pages of the menu below a page, as patterns."""


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


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
