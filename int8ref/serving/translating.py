"""Translates texts and files sentence by sentence, as `int8ref.document` does it.

What takes time is not done in the thread of the event loop: reading and writing of files and of
long texts.  The sentences go through the batches of the service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from int8ref.documents.inline import Segment, visible
from int8ref.documents.translate import Document, Plan, segments, written
from int8ref.serving.detection import CHARACTERS
from int8ref.serving.models import AUTO, Route
from int8ref.serving.service import Service
from int8ref.translator import Translator

LONG = 5000
"""Smallest number of characters whose reading or writing takes long."""
WARM = " ".join(["The cat is black, the dog is old"] * 5) + " \U0001f600"
"""A text of the warm-up: as long as a long sentence, and with a copy."""
UNCHANGED = Route(-1)
"""The route of a text whose source language is its target language."""

Answer = TypeVar("Answer")


class Source(msgspec.Struct, frozen=True):
    """The source language of a text.  `confidence`: 0 to 100; None: the request named it."""

    language: str
    confidence: int | None = None


class Translated(msgspec.Struct, frozen=True):
    """A translated document.

    texts      the best translation, and the alternatives
    truncated  whether the model read only the beginning of a sentence
    """

    texts: list[str]
    truncated: bool = False


class Translating:
    """Translates documents with the models of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def warm_up(self) -> None:
        """Translate a full batch in each thread with each model.

        Later requests find its memory, so that the memory of the service stays about the same.
        """
        limits = self._service.limits
        for route in self._service.models.routes():
            texts = [WARM] * limits.batch_size * limits.threads
            documents = [plain(text) for text in texts]
            await self._by(route, documents, len(WARM) * len(texts), "en", 0)

    async def near(self, size: int, call: Callable[[], Answer]) -> Answer:
        """Call a function: here if it takes no time, else in a thread.

        `size`: number of characters or bytes that it handles.
        """
        return call() if size < LONG else await self._service.aside(call)

    async def sources(self, documents: Sequence[Document], size: int, named: str) -> list[Source]:
        """Return the source language of each document, detected if the request asks for that.

        `named`: the source language of the request.  Raises `ServiceError`.
        """
        if named != AUTO:
            return [Source(named)] * len(documents)
        return await self.near(size, lambda: [self._detected(one) for one in documents])

    def _detected(self, document: Document) -> Source:
        found, *_ = self._service.detector.detect(_beginning(document))
        return Source(found["language"], found["confidence"])

    async def translated(
        self,
        documents: Sequence[Document],
        size: int,
        sources: Sequence[Source],
        target: str,
        alternatives: int = 0,
    ) -> list[Translated]:
        """Translate documents.

        Raises `ServiceError`, and the errors of `Translator.translate`.
        """
        routes = [self._route(source.language, target) for source in sources]
        found: dict[int, Translated] = {}
        for route in dict.fromkeys(routes):
            places = [place for place, own in enumerate(routes) if own == route]
            chosen = [documents[place] for place in places]
            if route == UNCHANGED:
                some = [Translated([written(document)]) for document in chosen]
            else:
                language = sources[places[0]].language
                some = await self._by(route, chosen, size, language, alternatives)
            found |= zip(places, some, strict=True)
        return [found[place] for place in range(len(documents))]

    async def _by(
        self, route: Route, documents: list[Document], size: int, language: str, alternatives: int
    ) -> list[Translated]:
        """Translate documents of one pair of languages."""
        service = self._service
        options = service.options(route, alternatives)
        translator = service.models.every[route.place][1]
        assert isinstance(translator, Translator)
        plan = await self.near(size, partial(Plan, translator, documents, options, language))
        for group in plan.groups:
            group.take(await service.translate_all(route.place, group.texts, group.options))
        return await self.near(size, lambda: [_of(plan, n) for n in range(len(documents))])

    def _route(self, source: str, target: str) -> Route:
        if source == target and source in self._service.models.languages():
            return UNCHANGED
        return self._service.models.route(source, target)


def plain(text: str) -> Document:
    """Return a text as a document."""
    return [Segment([text], visible)]


def _of(plan: Plan, document: int) -> Translated:
    results = plan.results(document)
    count = max((len(result.translations) for result in results), default=1)
    texts = [plan.written(document, place) for place in range(count)]
    return Translated(texts, any(result.truncated for result in results))


def _beginning(document: Document) -> str:
    """Return the first text of a document, for a detection of its language."""
    parts: list[str] = []
    for segment in segments(document):
        parts.append(visible(segment.items))
        if sum(map(len, parts)) > CHARACTERS:
            break
    return "\n".join(parts)
