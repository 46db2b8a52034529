"""Plain text: a line is a paragraph."""

from __future__ import annotations

from int8ref.documents.format import Opened
from int8ref.documents.inline import Segment, visible
from int8ref.documents.markup import decoded, encoded


def read(content: bytes, name: str) -> Opened:
    """Open a text.  White space around a line stays."""
    text, encoding = decoded(content, name)
    parts: list[str | Segment] = []
    for line in text.splitlines(keepends=True):
        core = line.strip()
        begin = line.find(core)
        segments: list[str | Segment] = [Segment([core], visible)] if core else []
        parts += [line[:begin], *segments, line[begin + len(core) :]]
    return Opened([parts], lambda texts: encoded(texts[0], encoding, "strict"))
