"""Phrases that are hard to read for people whose English is a second language."""

from __future__ import annotations

import re

PHRASES = (
    r"\bso many\b",
    r"\bas many as those\b",
    r"\bwhat it\b",
    r"\bthose of\b",
    r"(?<!\bso )\bthat of\b",
    r"\b(?:is|are) told\b",
    r"\bhas it\b",
    r"\bfits? (?:[\w-]+ ){0,3}not\b(?=\s*(?:[.,;:)|]|$))",
)
"""Regular expressions, without regard to case.

`that of` is a pronoun except after `so`. `fits the cache not` stands for `does not fit the cache`.
"""

_FENCED = re.compile(r"^[ \t]*```.*?^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?:(?: {4}|\t).*(?:\n|\Z))+")
_DOCTEST = re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: .*)?$", re.MULTILINE)
_INLINE = re.compile(r"(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\1(?!`)", re.DOTALL)
_ANY = re.compile("|".join(f"(?:{phrase})" for phrase in PHRASES), re.IGNORECASE)


def dialect(text: str) -> list[str]:
    """The phrases of a page or of a dedented docstring, outside code blocks and inline code."""
    for code in (_FENCED, _INDENTED, _DOCTEST):
        text = code.sub("\n", text)
    prose = " ".join(_INLINE.sub("code", text).split())
    return [match[0] for match in _ANY.finditer(prose)]
