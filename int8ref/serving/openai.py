"""Completions and embeddings in the form of OpenAI's HTTP interface.

Source: https://platform.openai.com/docs/api-reference/completions and .../embeddings
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from int8ref.encoder import Embedding, Encoder
from int8ref.language_model import LanguageModel
from int8ref.options import MAX_LENGTH, Options
from int8ref.serving.bodies import check_key, form, json
from int8ref.serving.completions import Choices, Grown, Wanted, check_stops
from int8ref.serving.service import Service
from int8ref.serving.service_errors import ServiceError, body_of, error_of
from int8ref.spec.limits import MAX_SEED

DIGITS = 9
"""Decimal digits of the numbers of an embedding: enough for a float of 32 bits."""
KEY_STATUS = 401


class StreamOptions(msgspec.Struct):
    """What a stream contains besides texts."""

    include_usage: bool = False


class AskedCompletion(msgspec.Struct, kw_only=True):
    """The fields of a completion that the service knows.

    The default of the seed is 0, so that the same request always has the same answer.
    """

    model: str
    prompt: str | list[str] = ""
    max_tokens: Annotated[int, Meta(ge=1, le=MAX_LENGTH)] | None = 16
    temperature: Decimal | None = Decimal(1)
    top_p: Decimal | None = Decimal(1)
    top_k: Annotated[int, Meta(ge=0)] | None = 0
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)] | None = 0
    n: Annotated[int, Meta(ge=1)] | None = 1
    stop: str | list[str] | None = None
    echo: bool | None = False
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    best_of: int | None = None
    logprobs: int | None = None
    logit_bias: dict[str, Any] | None = None
    presence_penalty: Decimal | None = None
    frequency_penalty: Decimal | None = None

    def check(self) -> None:
        """Raise `ServiceError` for a field that would have no effect."""
        useless = {
            "suffix": self.suffix,
            "logit_bias": self.logit_bias,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "best_of": self.best_of not in (None, self.n),
        }
        for name, value in {**useless, "logprobs": self.logprobs is not None}.items():
            if value:
                raise ServiceError(400, f"{name} is not supported: leave it out")

    @property
    def choices(self) -> list[str]:
        """The prompt of each choice."""
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        return [prompt for prompt in prompts for _ in range(self.n or 1)]

    @property
    def wanted(self) -> Wanted:
        """What is asked of each choice.  Raises `OptionError`."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        check_stops(stops)
        drawn: dict[str, Any] = {}
        temperature = Decimal(1) if self.temperature is None else self.temperature
        if temperature:  # without it, the others have no effect, and clients send them
            top_p = Decimal(1) if self.top_p is None else self.top_p
            drawn = {"temperature": temperature, "top_p": top_p}
            drawn |= {"top_k": self.top_k or 0, "seed": self.seed or 0}
        return Wanted(Options(max_length=self.max_tokens or 16, **drawn), stops)


class AskedEmbeddings(msgspec.Struct, kw_only=True):
    """The fields of embeddings."""

    model: str
    input: str | list[str]
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = None

    @property
    def texts(self) -> list[str]:
        """The texts as a list."""
        return [self.input] if isinstance(self.input, str) else self.input


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
        service = self._service
        asked = await form(request, AskedCompletion, service.limits.body)
        check_key(request, service.policy.keys, "", KEY_STATUS)
        asked.check()
        place = service.models.named(asked.model, LanguageModel)
        model = service.models.every[place][1]
        assert isinstance(model, LanguageModel)
        prompts = 1 if isinstance(asked.prompt, str) else len(asked.prompt)
        service.check_texts(prompts * (asked.n or 1))
        choices = Choices(service.continuing, place, model, asked.choices, asked.wanted)
        answer = Answer(asked, choices)
        if asked.stream:
            return StreamingResponse(answer.events(), media_type="text/event-stream")
        return json(answer.document(await choices.finished()))

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


class Answer:
    """The answer to a completion, whole or as a stream."""

    def __init__(self, asked: AskedCompletion, choices: Choices) -> None:
        self._asked, self._choices = asked, choices
        self._head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": asked.model,
        }

    def document(self, found: list[Grown]) -> dict[str, Any]:
        """Return the whole answer."""
        choices = [self._choice(grown, self._before(grown.index) + grown.text) for grown in found]
        return {**self._head, "choices": choices, "usage": self._usage(found)}

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the answer as server-sent events: what is new of each choice."""
        sent = dict.fromkeys(range(len(self._choices.prompts)), 0)
        last: dict[int, Grown] = {}
        try:
            async for grown in self._choices.grow():
                first = grown.index not in last
                before = self._before(grown.index) if first else ""
                new = before + grown.text[sent[grown.index] :]
                if new or grown.reason is not None:
                    yield _event({**self._head, "choices": [self._choice(grown, new)]})
                    sent[grown.index] = len(grown.text)
                last[grown.index] = grown
        except Exception as error:
            yield b"data: " + body_of("/v1/completions", error_of(error)) + b"\n\n"
            return
        asked = self._asked.stream_options
        if asked is not None and asked.include_usage:
            usage = self._usage([*last.values()])
            yield _event({**self._head, "choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    def _before(self, index: int) -> str:
        return self._choices.prompts[index].text if self._asked.echo else ""

    def _choice(self, grown: Grown, text: str) -> dict[str, Any]:
        truncated = {"truncated": True} if self._choices.prompts[grown.index].truncated else {}
        return {
            "index": grown.index,
            "text": text,
            "logprobs": None,
            "finish_reason": grown.reason,
            **truncated,
        }

    def _usage(self, found: list[Grown]) -> dict[str, int]:
        read, written = self._choices.prompt_tokens, sum(grown.tokens for grown in found)
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(document) + b"\n\n"


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
