"""Electronic books (EPUB 2 and 3): the pages, and the titles in the table of contents."""

from __future__ import annotations

from int8ref.documents import archive
from int8ref.documents.elements import Rules, document
from int8ref.documents.format import Opened
from int8ref.documents.formats.hypertext import xhtml_parts
from int8ref.documents.inline import Segment
from int8ref.documents.markup import xml_tokens

PAGES = (".xhtml", ".html", ".htm")
CONTENTS = Rules(frozenset(), blocks=frozenset(["text"]))


def read(content: bytes, name: str) -> Opened:
    """Open a book."""
    return archive.read(content, name, _reader)


def _reader(member: str) -> archive.Parts | None:
    if member.lower().endswith(PAGES):
        return xhtml_parts
    return _titles if member.lower().endswith(".ncx") else None


def _titles(text: str, name: str) -> list[str | Segment]:
    return document(list(xml_tokens(text, name)), CONTENTS)
