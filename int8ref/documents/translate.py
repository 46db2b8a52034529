"""Translates the segments of a document, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

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
    """A segment, its own items, its parts, and the results of the parts that are sentences."""

    segment: Segment
    items: list[Item]
    parts: list[str]
    results: list[Result | None]


class Group(msgspec.Struct):
    """Sentences that are translated with the same options."""

    options: Options
    places: list[tuple[Work, int]]

    @property
    def texts(self) -> list[str]:
        """The sentences."""
        return [work.parts[i] for work, i in self.places]

    def take(self, results: Iterable[Result]) -> None:
        """Take the result of each sentence."""
        for (work, i), result in zip(self.places, results, strict=True):
            work.results[i] = result


class Plan:
    """What of documents is translated, and how.  The caller translates the groups.

    translator  says which sentences are short enough
    language    code of the language that the documents have

    groups      the sentences without marks, and the sentences with marks, which need an alignment
    """

    def __init__(
        self,
        translator: Translates,
        documents: Sequence[Document],
        options: Options,
        language: str | None,
    ) -> None:
        self._documents, self._works = documents, [list[Work]() for _ in documents]
        known = (language or "en").replace("_", "-").split("-")[0].lower()
        places: dict[bool, list[tuple[Work, int]]] = {False: [], True: []}
        for document, works in zip(documents, self._works, strict=True):
            for segment in segments(document):
                text = visible(segment.items)
                parts = [*split(text, known, lambda part: translator.fits(part, options))]
                works.append(Work(segment, segment.items, parts, [None] * len(parts)))
                sentences = [i for i, part in enumerate(parts) if is_sentence(part)]
                places[has_marks(segment.items)] += [(works[-1], i) for i in sentences]
        self.groups = [Group(options, places[False])]
        if places[True]:
            self.groups.append(Group(replace(options, alignment="hard"), places[True]))

    def results(self, document: int) -> list[Result]:
        """Return the results of the sentences of a document."""
        works = self._works[document]
        return [result for work in works for result in work.results if result is not None]

    def written(self, document: int, place: int = 0) -> str:
        """Return a translated document.

        `place`: the place of its translations in their results, which are n-best lists.  A sentence
        with fewer translations has its last one.
        """
        for work in self._works[document]:
            work.segment.items = _translated(work, place)
        return written(self._documents[document])


def translate_documents(
    translator: Translates, documents: Sequence[Document], options: Options = DEFAULT_OPTIONS
) -> list[str]:
    """Return the translated documents.  Raises the errors of `Translator.translate`."""
    language = options.source_language or translator.languages.source
    plan = Plan(translator, documents, options, language)
    for group in plan.groups:
        group.take(translator.stream(group.texts, group.options))
    return [plan.written(document) for document in range(len(documents))]


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


def _translated(work: Work, place: int) -> list[Item]:
    """Return the items of a segment with the translation in place of the text."""
    results = [None if result is None else _only(result, place) for result in work.results]
    texts = [
        part if result is None else result.text
        for part, result in zip(work.parts, results, strict=True)
    ]
    begins, links, source, target = [], [], 0, 0
    for part, text, result in zip(work.parts, texts, results, strict=True):
        begins.append((source, target))
        links.append(_links(result, source, target) if result else _alike(part, source, target))
        source, target = source + len(part), target + len(text)
    return placed(work.items, Sentences("".join(texts), begins, links))


def _only(result: Result, place: int) -> Result:
    """Return a result with only one of its translations."""
    if not place:
        return result
    chosen = result.translations[min(place, len(result.translations) - 1)]
    return replace(result, translations=(chosen,))


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
