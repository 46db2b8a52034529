"""The page of a report: one HTML file that needs no other file."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parent / "page"


def page(document: dict[str, Any]) -> bytes:
    """The page that shows a document, UTF-8.

    No text of the document is read as HTML: the script of the page puts it in as text.
    """
    content = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    safe = content.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    parts = {name: (PARTS / f"report.{name}").read_text("utf-8") for name in ("html", "css", "js")}
    found = parts["html"]
    for mark, text in (
        ("{{title}}", html.escape(document["title"])),
        ("{{style}}", parts["css"]),
        ("{{script}}", parts["js"]),
        ("{{data}}", safe),
    ):
        found = found.replace(mark, text, 1)
    return found.encode("utf-8", "replace")
