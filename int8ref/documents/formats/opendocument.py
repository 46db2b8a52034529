"""Text documents of OpenDocument (.odt): body, headers and footers."""

from __future__ import annotations

from int8ref.documents import archive
from int8ref.documents.elements import Rules, document
from int8ref.documents.format import Opened
from int8ref.documents.inline import Segment
from int8ref.documents.markup import xml_tokens

MEMBERS = ("content.xml", "styles.xml")
RULES = Rules(
    inline=frozenset(
        ["text:span", "text:a", "text:ruby", "text:ruby-base", "text:meta", "text:bookmark-ref"]
    ),
    opaque=frozenset(
        [
            "text:s",
            "text:soft-page-break",
            "text:bookmark",
            "text:bookmark-start",
            "text:bookmark-end",
            "text:reference-mark",
            "text:reference-mark-start",
            "text:reference-mark-end",
            "text:ruby-text",
            "text:change",
            "text:change-start",
            "text:change-end",
            "text:tracked-changes",
            "text:note-citation",
            "text:page-number",
            "text:page-count",
            "text:date",
            "text:time",
            "text:sequence",
            "text:number",
            "office:annotation",
            "office:annotation-end",
            "math:math",
        ]
    ),
    nested=frozenset(["text:note", "draw:frame", "draw:custom-shape", "draw:g", "draw:a"]),
    breaks=frozenset(["text:line-break", "text:tab"]),
    blocks=frozenset(["text:p", "text:h"]),
)


def read(content: bytes, name: str) -> Opened:
    """Open a text document.  A flat document (.fodt) is one XML file."""
    if content.startswith(b"PK"):
        return archive.read(content, name, lambda m: parts if m in MEMBERS else None)
    from int8ref.documents.markup import decoded, encoded

    text, encoding = decoded(content, name)
    return Opened([parts(text, name)], lambda texts: encoded(texts[0], encoding))


def parts(text: str, name: str) -> list[str | Segment]:
    """Return the segments of a member, and what stands between them."""
    return document(list(xml_tokens(text, name)), RULES)
