"""The answers to completions and chats, whole or as a stream of server-sent events."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

from int8ref.serving.asked import Asked
from int8ref.serving.bodies import encoded
from int8ref.serving.completions import Choices, Grown, Step
from int8ref.serving.service_errors import OPENAI, body_of, error_of


class Answer:
    """The answer to a completion.

    befores  what stands before the text of each choice: its prompt, if the request asks for it
    """

    NAMES: ClassVar[tuple[str, str, str]] = ("cmpl", "text_completion", "text_completion")
    """Beginning of the id, name of a whole answer, name of a part of a stream."""

    def __init__(self, asked: Asked, choices: Choices, befores: Sequence[str] = ()) -> None:
        self._options, self._choices = asked.stream_options, choices
        self._befores = befores or [""] * len(choices.prompts)
        self._id, self._begun = f"{self.NAMES[0]}-{uuid.uuid4().hex}", int(time.time())
        self._model = asked.model

    def document(self, found: list[Grown]) -> dict[str, Any]:
        """Return the whole answer."""
        choices = [
            self._choice(grown, self.whole(self._befores[grown.index] + grown.text))
            for grown in found
        ]
        return {**self._head(self.NAMES[1]), "choices": choices, "usage": self._usage(found)}

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the answer as server-sent events: what is new of each choice."""
        sent = dict.fromkeys(range(len(self._choices.prompts)), 0)
        last: dict[int, Grown] = {}
        head = self._head(self.NAMES[2])
        try:
            async for grown in self._choices.grow():
                first = grown.index not in last
                before = self._befores[grown.index] if first else ""
                new = before + grown.text[sent[grown.index] :]
                if new or grown.reason is not None:
                    part = self._choice(grown, self.part(new, first))
                    yield _event({**head, "choices": [part]})
                    sent[grown.index] = len(grown.text)
                    last[grown.index] = grown
        except Exception as error:
            yield b"data: " + body_of(OPENAI, error_of(error)) + b"\n\n"
            return
        if self._options is not None and self._options.include_usage:
            yield _event({**head, "choices": [], "usage": self._usage([*last.values()])})
        yield b"data: [DONE]\n\n"

    def whole(self, text: str) -> dict[str, Any]:
        """Return the members of a choice that have its text."""
        return {"text": text}

    def part(self, text: str, first: bool) -> dict[str, Any]:
        """Return the members of a part of a choice that have its text."""
        return {"text": text}

    def logprobs(self, steps: Sequence[Step]) -> dict[str, Any]:
        """Return the log-probabilities of the tokens of a choice."""
        tops = [{one.token: one.log_probability for one in step.likeliest} for step in steps]
        return {
            "tokens": [step.token for step in steps],
            "token_logprobs": [step.log_probability for step in steps],
            "top_logprobs": tops if any(tops) else None,
        }

    def _head(self, name: str) -> dict[str, Any]:
        return {"id": self._id, "object": name, "created": self._begun, "model": self._model}

    def _choice(self, grown: Grown, text: dict[str, Any]) -> dict[str, Any]:
        truncated = {"truncated": True} if self._choices.prompts[grown.index].truncated else {}
        return {
            "index": grown.index,
            **text,
            "logprobs": None if grown.steps is None else self.logprobs(grown.steps),
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


class ChatAnswer(Answer):
    """The answer to a chat."""

    NAMES: ClassVar[tuple[str, str, str]] = ("chatcmpl", "chat.completion", "chat.completion.chunk")

    def whole(self, text: str) -> dict[str, Any]:
        """See `Answer.whole`."""
        return {"message": {"role": "assistant", "content": text}}

    def part(self, text: str, first: bool) -> dict[str, Any]:
        """See `Answer.part`."""
        role = {"role": "assistant"} if first else {}
        return {"delta": {**role, "content": text}}

    def logprobs(self, steps: Sequence[Step]) -> dict[str, Any]:
        """See `Answer.logprobs`."""
        content = [
            {
                "token": step.token,
                "logprob": step.log_probability,
                "bytes": None,
                "top_logprobs": [
                    {"token": one.token, "logprob": one.log_probability, "bytes": None}
                    for one in step.likeliest
                ],
            }
            for step in steps
        ]
        return {"content": content}


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + encoded(document) + b"\n\n"
