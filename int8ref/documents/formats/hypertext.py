"""HTML and XHTML.  All bytes outside of the translated texts stay."""

from __future__ import annotations

from int8ref.documents.elements import Rules, document
from int8ref.documents.format import Opened
from int8ref.documents.inline import Segment
from int8ref.documents.markup import decoded, encoded, html_tokens, xml_tokens

VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
INLINE = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "label",
        "mark",
        "output",
        "q",
        "rb",
        "rp",
        "rt",
        "rtc",
        "ruby",
        "s",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
    ]
)
OPAQUE = frozenset(
    [
        "area",
        "audio",
        "base",
        "canvas",
        "code",
        "embed",
        "iframe",
        "img",
        "input",
        "kbd",
        "link",
        "map",
        "math",
        "meta",
        "noembed",
        "noframes",
        "object",
        "param",
        "pre",
        "samp",
        "script",
        "source",
        "style",
        "svg",
        "template",
        "textarea",
        "track",
        "var",
        "video",
        "wbr",
        "xmp",
    ]
)
RULES = Rules(INLINE, OPAQUE, breaks=frozenset(["br"]), notes=frozenset(["sup"]))


def read(content: bytes, name: str) -> Opened:
    """Open HTML."""
    text, encoding = decoded(content, name)
    return Opened([parts(text)], lambda texts: encoded(texts[0], encoding))


def parts(text: str) -> list[str | Segment]:
    """Return the segments of HTML, and what stands between them."""
    return document(list(html_tokens(text, VOID)), RULES)


def xhtml_parts(text: str, name: str) -> list[str | Segment]:
    """Return the segments of XHTML, and what stands between them."""
    return document(list(xml_tokens(text, name)), RULES)
