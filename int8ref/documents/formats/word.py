"""Word documents (.docx, Office Open XML): body, headers, footers, notes and comments.

A paragraph consists of runs, which are pieces of text of one appearance.  Most text of a paragraph
has one appearance, its base.  Runs of the base are plain text, and other runs are marks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from int8ref.documents import archive
from int8ref.documents.elements import Rules, document
from int8ref.documents.format import Opened
from int8ref.documents.inline import Item, Mark, Segment, visible
from int8ref.documents.markup import xml_tokens

MEMBERS = re.compile(r"word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml")
RUN, APPEARANCE, FIELD = "<w:r", "<w:rPr", re.compile(r'<w:fldChar\b[^>]*w:fldCharType="(\w+)"')
PLAIN = "<w:r>"


def read(content: bytes, name: str) -> Opened:
    """Open a Word document."""
    return archive.read(content, name, lambda m: parts if MEMBERS.fullmatch(m) else None)


def parts(text: str, name: str) -> list[str | Segment]:
    """Return the segments of a member, and what stands between them."""
    return document(list(xml_tokens(text, name)), RULES)


def arrange(items: list[Item]) -> tuple[list[Item], str]:
    """Return the items with plain text in place of the runs of the base, and the base."""
    items = _fields([_arranged(item) for item in items])
    sizes: Counter[str] = Counter()
    for item in items:
        if _is_run(item):
            sizes[_appearance(item)] += len(visible([item]))
    if not sizes:
        return items, PLAIN
    base = sizes.most_common(1)[0][0]
    out: list[Item] = []
    for item in items:
        plain = _is_run(item) and _appearance(item) == base
        for part in item.children if plain and isinstance(item, Mark) else [item]:
            if plain and isinstance(part, Mark):
                part = Mark([f"{PLAIN}{base}", *part.open, "</w:r>"])
            before = out[-1] if out else None
            if isinstance(part, str) and isinstance(before, str):
                out[-1] = before + part
            else:
                out.append(part)
    return out, PLAIN + base


def _is_run(item: Item) -> bool:
    return isinstance(item, Mark) and item.close == "</w:r>" and bool(item.children)


def _appearance(item: Item) -> str:
    """Return the properties of a run."""
    return "" if isinstance(item, str) else "".join(map(str, item.open[1:]))


def _arranged(item: Item) -> Item:
    """Return a run with its properties before its text, or a container with its base."""
    if isinstance(item, str) or not item.children:
        return item
    if item.close != "</w:r>":
        children, base = arrange(item.children)
        return Mark(item.open, item.close, children, base=base)
    first = item.children[0]
    if isinstance(first, Mark) and str(first.open[0]).startswith(APPEARANCE):
        return Mark([*item.open, *first.open], item.close, item.children[1:])
    return item


def _fields(items: Sequence[Item]) -> list[Item]:
    """Return items in which a field is one mark: its code before its text, and its end after it."""
    out: list[Item] = []
    begin: int | None = None
    for item in items:
        kind = _field(item)
        if kind == "begin":
            begin = len(out) if begin is None else None
        out.append(item)
        if kind == "end" and begin is not None:
            field, out = out[begin:], out[:begin]
            separate = [i for i, one in enumerate(field) if _field(one) == "separate"]
            code = separate[0] + 1 if separate else len(field) - 1
            if any(isinstance(one, str) or _is_run(one) for one in field[:code]):
                return list(items)
            opened = [part for one in field[:code] for part in _raw(one)]
            children, base = arrange(field[code:-1])
            closed = "".join(str(part) for part in _raw(field[-1]))
            out.append(Mark(opened, closed, children, base=base))
            begin = None
    return out


def _raw(item: Item) -> list[str | Segment]:
    return [] if isinstance(item, str) else [*item.open, item.close]


def _field(item: Item) -> str:
    """Return the kind of a mark of a field: begin, separate, end, or an empty text."""
    if isinstance(item, str) or item.children:
        return ""
    found = FIELD.search("".join(part for part in item.open if isinstance(part, str)))
    return found[1] if found else ""


RULES = Rules(
    inline=frozenset(["w:r", "w:hyperlink", "w:ins", "w:smartTag", "w:fldSimple", "w:customXml"]),
    opaque=frozenset(
        [
            "w:rPr",
            "w:pPr",
            "w:del",
            "w:moveFrom",
            "w:fldChar",
            "w:instrText",
            "w:footnoteReference",
            "w:endnoteReference",
            "w:footnoteRef",
            "w:endnoteRef",
            "w:annotationRef",
            "w:separator",
            "w:continuationSeparator",
            "w:commentReference",
            "w:commentRangeStart",
            "w:commentRangeEnd",
            "w:bookmarkStart",
            "w:bookmarkEnd",
            "w:proofErr",
            "w:lastRenderedPageBreak",
            "w:sym",
            "w:noBreakHyphen",
            "w:softHyphen",
            "w:permStart",
            "w:permEnd",
            "w:pgNum",
            "w:ptab",
            "w:customXmlPr",
            "w:smartTagPr",
            "m:oMath",
            "m:oMathPara",
            "w:dayShort",
            "w:fldData",
            "w:ruby",
        ]
    ),
    nested=frozenset(["w:drawing", "w:pict", "w:object", "mc:AlternateContent"]),
    breaks=frozenset(["w:br", "w:cr", "w:tab"]),
    texts=frozenset(["w:t"]),
    blocks=frozenset(["w:p"]),
    collapse=False,
    arrange=arrange,
    run="w:r",
)
