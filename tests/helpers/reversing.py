"""A translator whose translations anybody can predict: the words of a text in reverse order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from int8ref.options import DEFAULT_OPTIONS, Options
from int8ref.results import Alignment, Languages, Result, Translation

MOST = 300


def reversed_words(text: str) -> str:
    """Return the words of a text in reverse order, in upper case."""
    return " ".join(reversed(text.upper().split()))


class Reversing:
    """Reverses the words of a text.  The alignment is right."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.languages = Languages((), (), "en", "en")

    def fits(self, text: str, options: Options = DEFAULT_OPTIONS) -> bool:
        return len(text) <= MOST

    def stream(self, lines: Iterable[str], options: Options = DEFAULT_OPTIONS) -> Iterator[Result]:
        for line in lines:
            self.seen.append(line)
            places = [match.span() for match in re.finditer(r"\S+", line)]
            words = tuple(line[begin:end].upper() for begin, end in reversed(places))
            spans, size = [], 0
            for word in words:
                spans.append((size, size + len(word)))
                size += len(word) + 1
            count = len(words)
            points = tuple((count - 1 - i, i) for i in range(count))
            aligned = Alignment(points) if options.alignment else None
            text, ids = " ".join(words), (0,) * count
            best = Translation(text, words, ids, alignment=aligned, spans=tuple(spans))
            sources = tuple(reversed(words))
            yield Result(line, sources, False, (best,), source_spans=tuple(places))
