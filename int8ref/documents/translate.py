"""Translates the segments of a document, sentence by sentence."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import msgspec

from int8ref.documents.inline import (
    Item,
    Link,
    Mark,
    Segment,
    Sentences,
    has_marks,
    placed,
    visible,
)
from int8ref.documents.sentences import split
from int8ref.documents.translator import DEFAULT_OPTIONS, Translates
from int8ref.options import Options
from int8ref.results import Result
from int8ref.translation.copying import PROTECTED

Document = Sequence[str | Segment]
"""What stays as it is, and the segments, in the order of the file."""


class Work(msgspec.Struct):
    """A segment, its parts, and the results of the parts that are sentences."""

    segment: Segment
    parts: list[str]
    results: list[Result | None]

    @property
    def marked(self) -> bool:
        """Whether the segment has marks, which need an alignment."""
        return has_marks(self.segment.items)


def translate_documents(
    translator: Translates, documents: Sequence[Document], options: Options = DEFAULT_OPTIONS
) -> list[str]:
    """Return the translated documents.  Raises the errors of `Translator.translate`."""
    language = options.source_language or translator.languages.source or "en"
    language = language.replace("_", "-").split("-")[0].lower()
    works: list[Work] = []
    for segment in (s for document in documents for s in segments(document)):
        parts = [*split(visible(segment.items), language, lambda t: translator.fits(t, options))]
        works.append(Work(segment, parts, [None] * len(parts)))
    for marked in (False, True):
        chosen = dataclasses.replace(options, alignment="hard") if marked else options
        places = [
            (work, i)
            for work in works
            if work.marked == marked
            for i, part in enumerate(work.parts)
            if is_sentence(part)
        ]
        results = translator.stream((work.parts[i] for work, i in places), chosen)
        for (work, i), result in zip(places, results, strict=True):
            work.results[i] = result
    for work in works:
        work.segment.items = _translated(work)
    return [written(document) for document in documents]


def is_sentence(part: str) -> bool:
    """Return whether a part of a text has letters, apart from text that is copied.

    A part without letters stays as it is.
    """
    return any(character.isalpha() for character in PROTECTED.sub("", part))


def segments(document: Document) -> Iterator[Segment]:
    """Yield all segments of a document, and the segments within their marks."""
    waiting: list[Iterator[object]] = [iter(document)]
    while waiting:
        for item in waiting[-1]:
            if isinstance(item, Segment):
                yield item
                waiting.append(iter(item.items))
                break
            if isinstance(item, Mark):
                waiting.append(iter([*item.open, *item.children]))
                break
        else:
            waiting.pop()


def written(document: Document) -> str:
    """Return the text of a file."""
    return "".join(part if isinstance(part, str) else part.write(part.items) for part in document)


def _translated(work: Work) -> list[Item]:
    """Return the items of a segment with the translation in place of the text."""
    texts = [
        part if result is None else result.text
        for part, result in zip(work.parts, work.results, strict=True)
    ]
    begins, links, source, target = [], [], 0, 0
    for part, text, result in zip(work.parts, texts, work.results, strict=True):
        begins.append((source, target))
        links.append(_links(result, source, target) if result else _alike(part, source, target))
        source, target = source + len(part), target + len(text)
    return placed(work.segment.items, Sentences("".join(texts), begins, links))


def _alike(part: str, source: int, target: int) -> list[Link]:
    """Return the links of a part that stays as it is."""
    places = [i for i, character in enumerate(part) if not character.isspace()]
    return [((target + i, target + i + 1), (source + i, source + i + 1)) for i in places]


def _links(result: Result, source: int, target: int) -> list[Link]:
    """Return the links of a sentence that begins at these places of source and translation."""
    best = result.best
    pairs = [(best.spans[t], result.source_spans[s]) for s, t in points(result)]
    copies = [place for place, _ in best.copied]
    pairs = [pair for pair in pairs if pair[0] not in copies] + list(best.copied)
    return [((a + target, b + target), (c + source, d + source)) for (a, b), (c, d) in pairs]


def points(result: Result) -> Sequence[tuple[int, int]]:
    """Return the aligned tokens of a result."""
    return result.alignment.points if result.alignment else ()
