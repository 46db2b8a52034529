"""Conversations as the text that a chat model reads, by the template of its model file."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Mapping, Sequence

from int8ref.errors import UserError
from int8ref.files.chat_template import ChatTemplate
from int8ref.host import child, extras

Message = Mapping[str, str]
"""A message: `role`, such as "user", "assistant" or "system", and `content`, its text."""

SECONDS, MEMORY, CHARACTERS = 5, 512 << 20, 1 << 20
"""Largest processor time and memory of a template, and largest size of its text."""


class ChatError(UserError, ValueError):
    """The messages are no conversation, or the template refuses them."""


def messages_of(value: object) -> list[dict[str, str]]:
    """Return messages with roles and contents only.  Raises `ChatError`."""
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)) or not value:
        raise ChatError("messages are a list of objects with role and content, and at least one")
    found = []
    for place, message in enumerate(value):
        pair = [message.get(n) for n in ("role", "content")] if isinstance(message, Mapping) else []
        if len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise ChatError(f"message {place + 1} has no text as role, or none as content")
        found.append({"role": str(pair[0]), "content": str(pair[1])})
    return found


def chat_text(template: ChatTemplate, messages: Sequence[Message]) -> str:
    """Return the text of a conversation, up to the words of the assistant.

    Raises `ChatError` if the template fails, or needs more than the limits of this module.  Raises
    `UserError` without the package jinja2.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise UserError(extras.lacking("jinja2", "chat", "a chat template needs"))
    asked = {
        "template": template.template,
        "messages": messages_of(messages),
        "special": {"bos_token": template.bos, "eos_token": template.eos},
        "limits": {"seconds": SECONDS, "memory": MEMORY, "characters": CHARACTERS},
    }
    command, environment = child.program("int8ref.text.chat_render")
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asked).encode(),
            capture_output=True,
            env=environment,
            timeout=2 * SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChatError(f"the chat template runs for more than {2 * SECONDS} seconds") from None
    if done.returncode != 0:
        raise ChatError(
            f"the chat template needs more than {SECONDS} seconds or {MEMORY >> 20} MiB of memory"
        )
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise ChatError(f"the chat template: {answer['error']}")
    return str(answer["text"])
