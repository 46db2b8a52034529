"""The fields of requests in the form of OpenAI's interface.

A field that the service cannot obey is an error, because it would have no effect.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from int8ref.options import MAX_LENGTH, Options
from int8ref.serving.completions import Wanted
from int8ref.serving.service_errors import ServiceError
from int8ref.spec.limits import MAX_BEAM, MAX_SEED

Count = Annotated[int, Meta(ge=1, le=MAX_LENGTH)]


class StreamOptions(msgspec.Struct):
    """What a stream contains besides texts."""

    include_usage: bool = False


class Asked(msgspec.Struct, kw_only=True):
    """The fields of completions and of chats.

    The default of the seed is 0, so that the same request always has the same answer.
    """

    USELESS: ClassVar[tuple[str, ...]] = ()

    model: str
    temperature: Decimal | None = Decimal(1)
    top_p: Decimal | None = Decimal(1)
    top_k: Annotated[int, Meta(ge=0)] | None = 0
    min_p: Decimal | None = Decimal(0)
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)] | None = 0
    n: Annotated[int, Meta(ge=1)] | None = 1
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    logit_bias: dict[int, Decimal] | None = None
    presence_penalty: Decimal | None = None
    frequency_penalty: Decimal | None = None
    repetition_penalty: Decimal | None = None

    @property
    def length(self) -> int | None:
        """The largest number of tokens; None: what the model has room for."""
        raise NotImplementedError

    @property
    def top(self) -> int | None:
        """The number of most likely tokens that are told; None: no log-probabilities either."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise `ServiceError` for a field that would have no effect."""
        for name in self.USELESS:
            if getattr(self, name):
                raise ServiceError(400, f"{name} is not supported: leave it out")

    @property
    def wanted(self) -> Wanted:
        """What is asked of each choice.  Raises `OptionError`."""
        given: dict[str, Any] = {
            "max_length": self.length,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop or [],
            "logit_bias": self.logit_bias or {},
            "presence_penalty": self.presence_penalty or 0,
            "frequency_penalty": self.frequency_penalty or 0,
            "repetition_penalty": 1 if self.repetition_penalty is None else self.repetition_penalty,
            "top_logprobs": self.top or 0,
        }
        temperature = Decimal(1) if self.temperature is None else self.temperature
        if temperature:  # without it, the others have no effect, and clients send them
            top_p = Decimal(1) if self.top_p is None else self.top_p
            given |= {"temperature": temperature, "top_p": top_p, "min_p": self.min_p or 0}
            given |= {"top_k": self.top_k or 0, "seed": self.seed or 0}
        return Wanted(Options(**given), self.top is not None)


class AskedCompletion(Asked, kw_only=True):
    """The fields of a completion that the service knows."""

    USELESS: ClassVar[tuple[str, ...]] = ("suffix",)

    prompt: str | list[str] = ""
    max_tokens: Count | None = 16
    echo: bool | None = False
    logprobs: Annotated[int, Meta(ge=0, le=MAX_BEAM)] | None = None
    suffix: str | None = None
    best_of: int | None = None

    @property
    def length(self) -> int | None:
        """See `Asked.length`."""
        return self.max_tokens or 16

    @property
    def top(self) -> int | None:
        """See `Asked.top`."""
        return self.logprobs

    def check(self) -> None:
        """See `Asked.check`."""
        super().check()
        if self.best_of not in (None, self.n):
            raise ServiceError(400, "best_of is not supported: leave it out")
        if self.echo and self.logprobs is not None:
            raise ServiceError(400, "logprobs with echo are not supported: leave one out")

    @property
    def prompts(self) -> list[str]:
        """The prompts as a list."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class TextPart(msgspec.Struct):
    """A part of a message."""

    type: Literal["text"]
    text: str


class ChatMessage(msgspec.Struct):
    """A message of a conversation."""

    role: Annotated[str, Meta(pattern=r"\A[a-z_]{1,32}\Z")]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ResponseFormat(msgspec.Struct):
    """The form of a reply."""

    type: Literal["text"] = "text"


class AskedChat(Asked, kw_only=True):
    """The fields of a chat that the service knows."""

    USELESS: ClassVar[tuple[str, ...]] = ("tools", "functions", "audio")

    messages: list[ChatMessage]
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Meta(ge=0, le=MAX_BEAM)] | None = None
    response_format: ResponseFormat | None = None
    tools: Any = None
    functions: Any = None
    audio: Any = None

    @property
    def length(self) -> int | None:
        """See `Asked.length`."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def top(self) -> int | None:
        """See `Asked.top`."""
        return self.top_logprobs or 0 if self.logprobs else None

    def check(self) -> None:
        """See `Asked.check`."""
        super().check()
        if self.top_logprobs and not self.logprobs:
            raise ServiceError(400, "top_logprobs needs logprobs: true")

    def conversation(self, special: frozenset[str]) -> list[dict[str, str]]:
        """Return the messages.

        Raises `ServiceError` if a message has one of the special tokens, because with them a text
        of one person could pass for the text of another one.
        """
        for place, message in enumerate(self.messages):
            found = next((text for text in special if text in message.text), None)
            if found is not None:
                told = f"message {place + 1} has the special token {found!r}: take it out"
                raise ServiceError(400, told)
        return [{"role": message.role, "content": message.text} for message in self.messages]


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
