"""Completions, chats and embeddings in the form of OpenAI's HTTP interface.

Source: https://platform.openai.com/docs/api-reference: completions, chat and embeddings
"""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from int8ref.encoder import Embedding, Encoder
from int8ref.language_model import LanguageModel
from int8ref.serving.answers import Answer, ChatAnswer
from int8ref.serving.asked import Asked, AskedChat, AskedCompletion, AskedEmbeddings
from int8ref.serving.bodies import check_key, form, json
from int8ref.serving.completions import Choices
from int8ref.serving.service import Service
from int8ref.serving.service_errors import ServiceError

DIGITS = 9
"""Decimal digits of the numbers of an embedding: enough for a float of 32 bits."""
KEY_STATUS = 401


class OpenAI:
    """The answers to OpenAI's requests."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._begun = int(time.time())

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`"""
        check_key(request, self._service.policy.keys, "", KEY_STATUS)
        data = [
            {"id": name, "object": "model", "created": self._begun, "owned_by": "int8ref"}
            for name in self._service.models.names
        ]
        return json({"object": "list", "data": data})

    async def completions(self, request: Request) -> Response:
        """`POST /v1/completions`"""
        asked = await form(request, AskedCompletion, self._service.limits.body)
        place, model = self._language_model(request, asked)
        self._service.check_texts(len(asked.prompts) * (asked.n or 1))
        texts = [prompt for prompt in asked.prompts for _ in range(asked.n or 1)]
        prompts = [model.prompt(text, number) for number, text in enumerate(texts)]
        choices = Choices(self._service.continuing, place, model, prompts, asked.wanted)
        return await _answered(asked, Answer(asked, choices, texts if asked.echo else ()), choices)

    async def chat(self, request: Request) -> Response:
        """`POST /v1/chat/completions`"""
        asked = await form(request, AskedChat, self._service.limits.body)
        place, model = self._language_model(request, asked)
        self._service.check_texts(asked.n or 1)
        wanted, messages = asked.wanted, asked.conversation(model.special_texts)
        prompt = await self._service.aside(model.chat_prompt, messages)
        prompts = [replace(prompt, number=number) for number in range(asked.n or 1)]
        choices = Choices(self._service.continuing, place, model, prompts, wanted)
        return await _answered(asked, ChatAnswer(asked, choices), choices)

    def _language_model(self, request: Request, asked: Asked) -> tuple[int, LanguageModel]:
        """Return the model that a request names, with its place.  Raises `ServiceError`."""
        check_key(request, self._service.policy.keys, "", KEY_STATUS)
        asked.check()
        place = self._service.models.named(asked.model, LanguageModel)
        model = self._service.models.every[place][1]
        assert isinstance(model, LanguageModel)
        return place, model

    async def embeddings(self, request: Request) -> Response:
        """`POST /v1/embeddings`"""
        service = self._service
        asked = await form(request, AskedEmbeddings, service.limits.body)
        check_key(request, service.policy.keys, "", KEY_STATUS)
        place = service.models.named(asked.model, Encoder)
        encoder = service.models.every[place][1]
        assert isinstance(encoder, Encoder)
        if asked.dimensions not in (None, encoder.width):
            raise ServiceError(
                400, f"dimensions is {asked.dimensions}: the model has {encoder.width}"
            )
        service.check_texts(len(asked.texts))
        found = await service.embed(place, asked.texts)
        tokens = sum(embedding.tokens for embedding in found)
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": _numbers(embedding, encoder.length, asked.encoding_format),
                **({"truncated": True} if embedding.truncated else {}),
            }
            for index, embedding in enumerate(found)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return json({"object": "list", "data": data, "model": asked.model, "usage": usage})


async def _answered(asked: Asked, answer: Answer, choices: Choices) -> Response:
    if asked.stream:
        return StreamingResponse(answer.events(), media_type="text/event-stream")
    return json(answer.document(await choices.finished()))


@lru_cache(16)
def _unit(length: int) -> tuple[list[Decimal], Any]:
    """Return n / length for n from -128 to 127: as decimal numbers, and as float32."""
    decimals = [Decimal(n) / length for n in range(-128, 128)]
    rounded = [number.quantize(Decimal(1).scaleb(-DIGITS)) for number in decimals]
    return rounded, np.array([*map(str, decimals)], "<f4")


def _numbers(embedding: Embedding, length: int, form: str | None) -> Any:
    """Return the unit vector of an embedding."""
    decimals, floats = _unit(length)
    places = embedding.vector.astype(np.int64) + 128
    if form == "base64":
        return base64.b64encode(floats[places].tobytes()).decode()
    return [decimals[place] for place in places.tolist()]
