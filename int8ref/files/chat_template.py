"""The chat template of a model: how a conversation becomes the text that the model reads."""

from __future__ import annotations

from typing import Annotated

import msgspec

MAX_TEMPLATE = 1 << 16
"""Largest number of characters of a chat template."""
MAX_TOKEN = 1 << 10


class ChatTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A template in the language of jinja2, and the texts of two tokens.

    template  the template.  It gets `messages`, `bos_token`, `eos_token` and
              `add_generation_prompt`.
    bos       text of the token before a text; "" without one
    eos       text of the end mark; "" without one
    """

    template: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEMPLATE)]
    bos: Annotated[str, msgspec.Meta(max_length=MAX_TOKEN)] = ""
    eos: Annotated[str, msgspec.Meta(max_length=MAX_TOKEN)] = ""
