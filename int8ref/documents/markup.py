"""Cuts HTML and XML into tokens.  The tokens make up the file, so that all other bytes stay.

The tokens are the tokens of the HTML standard (WHATWG, section 13.2.5).  XML is checked before by
expat: in well-formed XML, both kinds of tokens are the same.  No entity is ever expanded.
"""

from __future__ import annotations

import codecs
import re
import xml.parsers.expat
from collections.abc import Iterator

import msgspec

from int8ref.documents.errors import DocumentError

TOKEN = re.compile(
    r"""
      (?P<other> <!--.*?(?:-->|\Z) | <!\[CDATA\[.*?(?:\]\]>|\Z) | <[!?][^>]*+(?:>|\Z))
    | </(?P<end> [A-Za-z_][^\s/>]*+)[^>]*+(?:>|\Z)
    | <(?P<start> [A-Za-z_][^\s/>]*+)
        (?: =\s*+(?: "[^"]*+(?:"|\Z) | '[^']*+(?:'|\Z) | [^\s>"'][^\s>]*+ )? | [^>=]++ )*+(?:>|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
RAW_TEXT = ("script", "style", "textarea", "iframe", "noembed", "noframes", "xmp")
"""Elements of HTML in which no tag begins."""
UNTRANSLATED = re.compile(
    r"""\stranslate\s*=\s*["']?no\b|\sclass\s*=\s*["'][^"']*\bnotranslate\b"""
)
DECLARED = (
    re.compile(rb"""\A\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)"""),
    re.compile(rb"""<meta[^>]*?charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE),
)
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SEARCHED_BYTES = 1024


class Token(msgspec.Struct, frozen=True):
    """A part of a file.

    kind  "open", "close", "empty" (an element without content), "text" or "other"
    name  name of the element.  In HTML in lower case.
    raw   the part as it is in the file
    """

    kind: str
    name: str
    raw: str

    @property
    def untranslated(self) -> bool:
        """Whether the author marked the element as text that is not translated."""
        return self.kind == "open" and UNTRANSLATED.search(self.raw) is not None


def html_tokens(text: str, void: frozenset[str]) -> Iterator[Token]:
    """Yield the tokens of HTML.  `void`: elements that never have content."""
    done = 0
    while (match := TOKEN.search(text, done)) is not None:
        if match.start() > done:
            yield Token("text", "", text[done : match.start()])
        token = _token(match, void)
        yield token
        done = match.end()
        if token.kind == "open" and token.name in RAW_TEXT:
            end = re.compile(f"</{token.name}", re.IGNORECASE).search(text, done)
            stop = end.start() if end else len(text)
            yield Token("other", "", text[done:stop])
            done = stop
    if done < len(text):
        yield Token("text", "", text[done:])


def xml_tokens(text: str, name: str) -> Iterator[Token]:
    """Yield the tokens of XML.  Raises `DocumentError` for XML that is not well-formed.

    `name`: name of the file in messages.
    """
    _check_xml(text, name)
    done = 0
    for match in TOKEN.finditer(text):
        if match.start() > done:
            yield Token("text", "", text[done : match.start()])
        yield _token(match, frozenset(), lower=False)
        done = match.end()
    if done < len(text):
        yield Token("text", "", text[done:])


def _token(match: re.Match[str], void: frozenset[str], lower: bool = True) -> Token:
    raw = match[0]
    if match["other"] is not None:
        return Token("other", "", raw)
    kind = "close" if match["start"] is None else "open"
    name = match["end"] if match["start"] is None else match["start"]
    name = name.lower() if lower else name
    if kind == "open" and (raw.endswith("/>") or name in void):
        kind = "empty"
    return Token(kind, name, raw)


def _check_xml(text: str, name: str) -> None:
    """Raise `DocumentError` for XML that is not well-formed, or that declares entities."""
    parser = xml.parsers.expat.ParserCreate("utf-8")

    def declared(_name: str, _system: str | None, _public: str | None, has_subset: bool) -> None:
        if has_subset:
            raise DocumentError(f"{name}: declares entities of its own, which is refused")

    parser.StartDoctypeDeclHandler = declared
    try:
        parser.Parse(text.encode(), True)
    except xml.parsers.expat.ExpatError as error:
        raise DocumentError(f"{name}: not XML: {error}") from None


def decoded(content: bytes, name: str) -> tuple[str, str]:
    """Return the text of a file and its encoding: the byte order mark says it, or the file does.

    Without either, the encoding is UTF-8.  Raises `DocumentError`.
    """
    encoding = next((code for mark, code in MARKS.items() if content.startswith(mark)), "")
    if not encoding:
        found = [pattern.search(content[:SEARCHED_BYTES]) for pattern in DECLARED]
        encoding = next((match[1].decode() for match in found if match), "utf-8")
    try:
        return content.decode(encoding), encoding
    except LookupError:
        raise DocumentError(f"{name}: the encoding {encoding!r} is unknown") from None
    except UnicodeError as error:
        raise DocumentError(f"{name}: not text in {encoding}: {error}") from None


def encoded(text: str, encoding: str, errors: str = "xmlcharrefreplace") -> bytes:
    """Return the bytes of a text.  `errors`: what becomes of characters that the encoding lacks."""
    return text.encode(encoding, errors)
