"""Splits texts into sentences that a model has room for, so that nothing is lost.

The library sentencex (Wikimedia, MIT) finds the ends of sentences: by rules, without a model, the
same on every machine, for some 300 languages.  A sentence that is too long is split further.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from int8ref.documents.errors import required

BEST_PLACES = (r"(?<=[;:])\s+", r"(?<=[,、،])\s*", r"\s+")
"""Places where a long sentence is split: after a clause, after a part of it, after a word."""

Fits = Callable[[str], bool]


def split(text: str, language: str, fits: Fits) -> Iterator[str]:
    """Yield the parts of a text: sentences, and the white space between them.

    The parts make up the text.  A sentence has no white space around it, and no line feed in it.
    """
    sentencex: Any = required("sentencex")
    for line in re.split(r"(\n)", text):
        sentences = sentencex.segment(language, line) if line.strip() else [line]
        if "".join(sentences) != line:  # a fault of the library must lose nothing
            sentences = [line]
        for sentence in sentences:
            yield from (part for part in _edges(sentence, fits) if part)


def _edges(sentence: str, fits: Fits) -> Iterator[str]:
    """Yield the parts of a sentence apart from the white space around it."""
    core = sentence.strip()
    begin = sentence.find(core)
    yield sentence[:begin]
    parts = [core]
    while parts:
        part = parts.pop()
        if len(part) < 2 or fits(part):
            yield part
        else:
            place = _middle(part)
            left, right = part[:place], part[place:]
            gap = len(left.rstrip())
            parts += [right.lstrip(), left[gap:] + right[: len(right) - len(right.lstrip())]]
            parts.append(left[:gap])
    yield sentence[begin + len(core) :]


def _middle(part: str) -> int:
    """Return the best place to split a sentence: near its middle, and never at an end."""
    half = len(part) // 2
    for pattern in BEST_PLACES:
        places = [match.end() for match in re.finditer(pattern, part)]
        inner = [place for place in places if len(part) <= 4 * place <= 3 * len(part)]
        if inner:
            return min(inner, key=lambda place: abs(place - half))
    return max(1, half)
