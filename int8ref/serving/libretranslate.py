"""The HTTP interface of LibreTranslate.

Each line of a text is translated alone, as the command `int8ref.translate` does it.
Source: https://docs.libretranslate.com/api/
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from int8ref.results import Result
from int8ref.serving.bodies import check_key, form, json
from int8ref.serving.language_names import language_name
from int8ref.serving.models import AUTO, Route
from int8ref.serving.service import Service
from int8ref.serving.service_errors import ServiceError

UNCHANGED = Route(-1)
"""The route of a text whose source language is its target language."""


class Asked(msgspec.Struct, kw_only=True):
    """The fields of a translation."""

    q: str | list[str]
    source: str
    target: str
    format: Literal["text", "html"] = "text"
    alternatives: int = 0
    api_key: str = ""

    @property
    def texts(self) -> list[str]:
        """The texts as a list."""
        return [self.q] if isinstance(self.q, str) else self.q


class AskedLanguage(msgspec.Struct, kw_only=True):
    """The fields of a detection."""

    q: str
    api_key: str = ""


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, as the commands read them."""
    return [line.removesuffix("\r") for line in text.split("\n")]


class LibreTranslate:
    """The answers to LibreTranslate's requests."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def translate(self, request: Request) -> Response:
        """`POST /translate`"""
        service = self._service
        asked = await form(request, Asked, service.limits.body, service.limits.texts)
        check_key(request, service.policy.keys, asked.api_key)
        if asked.format == "html":
            raise ServiceError(501, "this service translates no HTML: send format=text")
        texts = asked.texts
        service.check_texts(sum(text.count("\n") + 1 for text in texts))
        sources = await self._sources(asked)
        routes = [self._route(found["language"], asked.target) for found in sources]
        several, cut = await self._translated(texts, routes, asked.alternatives)
        answer: dict[str, Any] = {"translatedText": [_joined(lines, 0) for lines in several]}
        if asked.alternatives:
            answer["alternatives"] = [_alternatives(lines) for lines in several]
        if any(cut):
            answer["truncated"] = cut
        if asked.source == AUTO:
            answer["detectedLanguage"] = sources
        if isinstance(asked.q, str):
            answer = {name: values[0] for name, values in answer.items()}
        return json(answer)

    async def _sources(self, asked: Asked) -> list[dict[str, Any]]:
        """Return the source language of each text, detected if the request asks for that."""
        if asked.source != AUTO:
            return [{"language": asked.source}] * len(asked.texts)
        detect = self._service.detector.detect
        return [(await asyncio.to_thread(detect, text))[0] for text in asked.texts]

    def _route(self, source: str, target: str) -> Route:
        if source == target and source in self._service.models.languages():
            return UNCHANGED
        return self._service.models.route(source, target)

    async def _translated(
        self, texts: Sequence[str], routes: Sequence[Route], alternatives: int
    ) -> tuple[list[list[tuple[str, ...]]], list[bool]]:
        """Return the translations of each line of each text, best first.

        Return also for each text whether the model read only the beginning of a line.
        """
        lines = [lines_of(text) for text in texts]
        found: list[list[tuple[str, ...]]] = [[(line,) for line in some] for some in lines]
        cut = [False] * len(texts)
        for route in dict.fromkeys(routes):
            options = self._service.options(route, alternatives)
            places = [at for at, own in enumerate(routes) if own == route and route != UNCHANGED]
            flat = [line for at in places for line in lines[at]]
            each = iter(await self._service.translate(route.place, flat, options))
            for at in places:
                results = [next(each) for _ in lines[at]]
                found[at] = [_texts(result) for result in results]
                cut[at] = any(result.truncated for result in results)
        return found, cut

    async def detect(self, request: Request) -> Response:
        """`POST /detect`"""
        asked = await form(request, AskedLanguage, self._service.limits.body)
        check_key(request, self._service.policy.keys, asked.api_key)
        return json(await asyncio.to_thread(self._service.detector.detect, asked.q))

    async def languages(self, _: Request) -> Response:
        """`GET /languages`"""
        known = self._service.models.languages()
        return json(
            [
                {"code": code, "name": language_name(code), "targets": targets}
                for code, targets in known.items()
            ]
        )

    async def settings(self, _: Request) -> Response:
        """`GET /frontend/settings`"""
        service = self._service
        known = service.models.languages()
        source = next(iter(known), None)
        target = next(iter(known[source]), None) if source is not None else None
        named = {"source": source, "target": target}
        return json(
            {
                "apiKeys": bool(service.policy.keys),
                "keyRequired": bool(service.policy.keys),
                "charLimit": -1,
                "frontendTimeout": 500,
                "suggestions": False,
                "filesTranslation": False,
                "supportedFilesFormat": [],
                "language": {
                    side: {"code": code, "name": language_name(code)}
                    for side, code in named.items()
                    if code is not None
                },
            }
        )

    async def translate_file(self, _: Request) -> Response:
        """`POST /translate_file`"""
        raise ServiceError(501, "this service translates no files: send the text of the file")


def _texts(result: Result) -> tuple[str, ...]:
    return tuple(translation.text for translation in result.translations)


def _joined(lines: list[tuple[str, ...]], place: int) -> str:
    """Return a translation of a text.  A line with fewer translations has its last one."""
    return "\n".join(found[min(place, len(found) - 1)] for found in lines)


def _alternatives(lines: list[tuple[str, ...]]) -> list[str]:
    return [_joined(lines, place) for place in range(1, max(map(len, lines)))]
