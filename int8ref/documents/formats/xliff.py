"""XLIFF 1.2, 2.0 and 2.1: the translation of a source becomes its target.

A target that has text stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from int8ref.documents.elements import Rules, closes_of, document
from int8ref.documents.format import Opened
from int8ref.documents.inline import Segment
from int8ref.documents.markup import Token, decoded, encoded, xml_tokens

RULES = Rules(
    inline=frozenset(["g", "mrk", "pc", "sm", "em"]),
    opaque=frozenset(["x", "bx", "ex", "ph", "bpt", "ept", "it", "sub", "sc", "ec", "cp"]),
    collapse=False,
)
UNITS = ("trans-unit", "unit")
SKIPPED = ("alt-trans", "matches", "glossary", "notes", "note")


def read(content: bytes, name: str) -> Opened:
    """Open XLIFF."""
    text, encoding = decoded(content, name)
    tokens = list(xml_tokens(text, name))
    return Opened([list(_parts(tokens))], lambda texts: encoded(texts[0], encoding))


def _parts(tokens: Sequence[Token]) -> Iterator[str | Segment]:
    closes = closes_of(tokens)
    place = 0
    source: Sequence[Token] | None = None
    kept = False
    while place < len(tokens):
        token, stop = tokens[place], place + 1
        name = token.name.rpartition(":")[2]
        end = closes.get(place, place)
        if token.kind == "open" and name in UNITS:
            kept = re.search(r"""\stranslate\s*=\s*["']no["']""", token.raw) is not None
        if token.kind == "open" and name in SKIPPED:
            stop = end + 1
            yield from (t.raw for t in tokens[place:stop])
        elif token.kind == "open" and name == "source" and not kept:
            source, stop = tokens[place + 1 : end], end + 1
            yield from (t.raw for t in tokens[place:stop])
            if not _target_follows(tokens, stop):
                yield from _target(token, source)
                source = None
        elif name == "target" and token.kind in ("open", "empty") and source is not None:
            stop = end + 1
            if "".join(t.raw for t in tokens[place + 1 : end] if t.kind == "text").strip():
                yield from (t.raw for t in tokens[place:stop])
            else:
                yield from _target(token, source)
            source = None
        else:
            yield token.raw
        place = stop


def _target_follows(tokens: Sequence[Token], place: int) -> bool:
    """Return whether a target comes before the end of the unit, or of the segment."""
    for token in tokens[place:]:
        name = token.name.rpartition(":")[2]
        if name == "target":
            return True
        if name in (*UNITS, "segment", "source", *SKIPPED):
            return False
    return False


def _target(token: Token, source: Sequence[Token]) -> Iterator[str | Segment]:
    """Yield a target.  `token`: the tag of the source, or of an empty target."""
    name = re.sub("source$", "target", token.name)
    attributes = token.raw[1 + len(token.name) : -1].rstrip("/").rstrip()
    if token.name != name:
        space = re.search(r"""\sxml:space\s*=\s*("[^"]*"|'[^']*')""", token.raw)
        attributes = space[0] if space else ""
    yield f"<{name}{attributes}>"
    yield from document(source, RULES)
    yield f"</{name}>"
