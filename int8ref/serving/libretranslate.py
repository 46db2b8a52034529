"""The HTTP interface of LibreTranslate.

A text is split into sentences, which are translated as `int8ref.document` translates them.
Source: https://docs.libretranslate.com/api/
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from int8ref.documents import FORMATS, finish, format_of, open_bytes
from int8ref.documents.formats import hypertext
from int8ref.documents.translate import Document
from int8ref.serving.bodies import check_key, form, json
from int8ref.serving.downloads import Downloads
from int8ref.serving.language_names import language_name
from int8ref.serving.models import AUTO
from int8ref.serving.service import Service
from int8ref.serving.service_errors import ServiceError
from int8ref.serving.translating import Translating, plain

DOWNLOADS = "/download_file/"
"""The beginning of the addresses of translated files."""
ENDINGS = [ending for _, endings in FORMATS.values() for ending in endings]
FORM_BYTES = 1 << 16
"""Largest size of the fields of a form beside its file."""
NAME_CHARACTERS = 100


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


class AskedFile(msgspec.Struct, kw_only=True):
    """The fields of a translation of a file.  `file_name` comes with the file."""

    file: bytes
    file_name: str
    source: str
    target: str
    api_key: str = ""


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
        self._service, self._translating = service, Translating(service)
        self._downloads = Downloads(service.limits.downloads)

    async def translate(self, request: Request) -> Response:
        """`POST /translate`"""
        service, translating = self._service, self._translating
        asked = await form(request, Asked, service.limits.body, service.limits.texts)
        check_key(request, service.policy.keys, asked.api_key)
        texts = asked.texts
        service.check_texts(sum(text.count("\n") + 1 for text in texts))
        size = sum(map(len, texts))
        read = hypertext.parts if asked.format == "html" else plain
        documents = await translating.near(size, lambda: [*map(read, texts)])
        sources = await translating.sources(documents, size, asked.source)
        found = await translating.translated(
            documents, size, sources, asked.target, asked.alternatives
        )
        answer: dict[str, Any] = {"translatedText": [one.texts[0] for one in found]}
        if asked.alternatives:
            answer["alternatives"] = [one.texts[1:] for one in found]
        if any(one.truncated for one in found):
            answer["truncated"] = [one.truncated for one in found]
        if asked.source == AUTO:
            answer["detectedLanguage"] = sources
        if isinstance(asked.q, str):
            answer = {name: values[0] for name, values in answer.items()}
        return json(answer)

    async def translate_file(self, request: Request) -> Response:
        """`POST /translate_file`"""
        service, translating = self._service, self._translating
        limit = service.limits.file
        asked = await form(request, AskedFile, limit + FORM_BYTES)
        check_key(request, service.policy.keys, asked.api_key)
        size, told = len(asked.file), "the file"
        if size > limit:
            raise ServiceError(413, f"the file has more than {limit} bytes")
        kind = format_of(asked.file_name)
        if kind is None:
            raise ServiceError(400, f"the name of the file says no format: {', '.join(ENDINGS)}")
        opened = await service.aside(open_bytes, asked.file, kind, told)
        documents = opened.documents
        sources = await translating.sources([_joined(documents)], size, asked.source)
        found = await translating.translated(
            documents, size, sources * len(documents), asked.target
        )
        texts = [one.texts[0] for one in found]
        content = await service.aside(finish, opened, texts, told)
        key = self._downloads.keep(content, _named(asked.file_name, asked.target))
        return json({"translatedFileUrl": f"{_address(request)}{DOWNLOADS}{key}"})

    async def download(self, request: Request) -> Response:
        """`GET /download_file/NAME`"""
        found = self._downloads.find(request.path_params["name"])
        return Response(found.content, headers=found.headers, media_type="application/octet-stream")

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
                "filesTranslation": True,
                "supportedFilesFormat": ENDINGS,
                "language": {
                    side: {"code": code, "name": language_name(code)}
                    for side, code in named.items()
                    if code is not None
                },
            }
        )


def _joined(documents: Sequence[Document]) -> Document:
    """Return the parts of a file as one document."""
    return [part for document in documents for part in document]


def _named(name: str, target: str) -> str:
    """Return the name of a translated file: its last part, with the target language."""
    last = "".join(c for c in re.split(r"[/\\]", name)[-1] if c.isprintable())
    stem, ending = os.path.splitext(last)
    return f"{stem[:NAME_CHARACTERS]}.{target}{ending}"


def _address(request: Request) -> str:
    """Return the address of the service as the client knows it: a proxy may end TLS."""
    given = request.headers.get("x-forwarded-proto", "")
    scheme = given if given in ("http", "https") else request.url.scheme
    return f"{scheme}://{request.headers.get('host') or request.url.netloc}"
