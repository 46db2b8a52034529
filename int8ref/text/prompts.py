"""Prompts as JSON, one document a line, because a line of text has no line feeds.

A document is a text, or an object with a member `prompt`, a text, or `messages`, a conversation.
"""

from __future__ import annotations

import msgspec

from int8ref.text import json_lines
from int8ref.text.chat import Message, messages_of
from int8ref.text.lines import TextError

KINDS = ("prompt", "messages")


def beginning(line: str, where: str) -> tuple[str | list[Message], json_lines.Document]:
    """Return the text or the messages of a line, and the other members.

    `where`: name of the line in messages.  Raises `TextError`.
    """
    if line.lstrip().startswith('"'):
        return json_lines.bare_text(line, where), {}
    found = json_lines.document(line, where)
    if sum(kind in found for kind in KINDS) != 1:
        raise TextError(f"{where} has not one of prompt and messages")
    others = {name: found[name] for name in found if name not in KINDS}
    if "prompt" in found:
        return json_lines.text(found, "prompt", where), others
    return _messages(found["messages"], where), others


def _messages(content: msgspec.Raw, where: str) -> list[Message]:
    try:
        return [*messages_of(msgspec.json.decode(content, type=list[dict[str, str]]))]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise TextError(f"{where}: the member 'messages' is no conversation: {error}") from None


def question(line: str) -> list[Message]:
    """Return a line as the message of a user."""
    return [{"role": "user", "content": line}]
