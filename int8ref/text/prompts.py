"""Prompts as JSON, one document a line, because a line of text has no line feeds.

A document is a text, or an object with a member `prompt`, a text, or `messages`, a conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from int8ref.text.chat import Message, messages_of
from int8ref.text.lines import TextError


class _Prompt(msgspec.Struct, forbid_unknown_fields=True):
    prompt: str | None = None
    messages: list[dict[str, str]] | None = None


def beginnings(lines: Iterable[str]) -> Iterator[str | list[Message]]:
    """Yield the text or the messages of each line.  Raises `TextError` that names the line."""
    for number, line in enumerate(lines, start=1):
        try:
            told = msgspec.json.decode(line, type=str | _Prompt)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise TextError(f"line {number} is no prompt as JSON: {error}") from None
        if isinstance(told, str):
            yield told
        elif told.messages is not None and told.prompt is None:
            yield [*messages_of(told.messages)]
        elif told.prompt is not None and told.messages is None:
            yield told.prompt
        else:
            raise TextError(f"line {number} has not one of prompt and messages")


def questions(lines: Iterable[str]) -> Iterator[list[Message]]:
    """Yield each line as the message of a user."""
    return ([{"role": "user", "content": line}] for line in lines)
