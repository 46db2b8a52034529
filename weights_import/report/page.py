"""The page of a report: one HTML file that needs no other file."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parent / "page"
MARK = re.compile(r"\{\{(\w+)\}\}")


def page(document: dict[str, Any]) -> bytes:
    """The page that shows a document, UTF-8.

    No text of the document is read as HTML: the script of the page puts it in as text.
    """
    content = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    safe = content.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    parts = {name: (PARTS / f"report.{name}").read_text("utf-8") for name in ("html", "css", "js")}
    marks = {
        "title": html.escape(document["title"]),
        "style": parts["css"],
        "script": parts["js"],
        "data": safe,
    }
    # One pass, because a text may hold a mark.
    return MARK.sub(lambda mark: marks[mark[1]], parts["html"]).encode("utf-8", "replace")
