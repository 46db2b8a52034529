"""The chat template beside a checkpoint of Hugging Face's transformers.

chat_template.jinja    the template, of newer folders
tokenizer_config.json  chat_template: the template, or a list of templates with names
chat_template.json     chat_template, of some models
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from int8ref.files.chat_template import ChatTemplate
from weights_import.errors import CheckpointError
from weights_import.sources import added_tokens, json_file
from weights_import.sources.added_tokens import CONFIG

JINJA, JSON = "chat_template.jinja", "chat_template.json"
FILES = JINJA, JSON
USUAL = "default"
"""The name of the template for conversations, where there are several."""
MOST_BYTES = 1 << 20


def chat_template(folder: Path) -> ChatTemplate | None:
    """The template in a folder; None without one.  Raises CheckpointError for a damaged one."""
    text = _text(folder)
    if text is None:
        return None
    named = {use: added_tokens.named(folder, f"{use}_token") or "" for use in ("bos", "eos")}
    return checked(text, **named)


def checked(template: str, bos: str, eos: str) -> ChatTemplate:
    """The template with the texts of its tokens.  Raises CheckpointError if it is too long."""
    told = {"template": template, "bos": bos, "eos": eos}
    try:
        return msgspec.convert(told, ChatTemplate)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"chat template: {error}") from None


def _text(folder: Path) -> str | None:
    path = folder / JINJA
    if path.is_file():
        if path.stat().st_size > MOST_BYTES:
            raise CheckpointError(f"{JINJA}: more than {MOST_BYTES} bytes")
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError:
            raise CheckpointError(f"{JINJA}: not UTF-8") from None
    for name in (CONFIG, JSON):
        if (folder / name).is_file():
            told = json_file.parse_file(folder / name)
            found = _chosen(told.get("chat_template")) if isinstance(told, dict) else None
            if found is not None:
                return found
    return None


def _chosen(value: Any) -> str | None:
    """The template of a field, which may be a list of templates."""
    if isinstance(value, list):
        named = {
            one.get("name"): one.get("template")
            for one in value
            if isinstance(one, dict) and isinstance(one.get("name"), str)
        }
        value = named.get(USUAL)
    return value if isinstance(value, str) and value else None
