"""The tokens that a tokenizer of Hugging Face's transformers has beside its model.

Each file lists them in its own way:

tokenizer.json           added_tokens: a list of tokens with ids
tokenizer_config.json    added_tokens_decoder: tokens by id; eos_token and others: tokens
added_tokens.json        ids by text
special_tokens_map.json  tokens by use, or lists of them
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weights_import.errors import CheckpointError
from weights_import.sources import json_file

TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"
ADDED, SPECIAL = "added_tokens.json", "special_tokens_map.json"
FILES = TOKENIZER, CONFIG, ADDED, SPECIAL
USES = (
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    "additional_special_tokens", "extra_special_tokens",
)  # fmt: skip
FLAGS = "single_word", "lstrip", "rstrip", "normalized", "special"
MOST_IDS = 1 << 24


@dataclass(frozen=True)
class Listed:
    """A token as a file lists it: its id, if the file tells it, and its properties."""

    content: str
    id: int | None
    flags: dict[str, bool]


def listed(folder: Path) -> dict[str, Listed]:
    """The tokens that the files of a folder list, by their texts; the first file counts that tells
    of a token, and the first that tells its id.

    Raises CheckpointError for damaged files.
    """
    found: dict[str, Listed] = {}
    for name in FILES:
        if (folder / name).is_file():
            for token in _of_file(name, folder / name):
                known = found.get(token.content)
                if known is None or (known.id is None and token.id is not None):
                    flags = token.flags if known is None else known.flags | token.flags
                    found[token.content] = Listed(token.content, token.id, flags)
    return found


def named(folder: Path, use: str) -> str | None:
    """The text of the token of a use, such as `unk_token`; None where no file tells it."""
    for name in (CONFIG, SPECIAL):
        if (folder / name).is_file():
            told = _object(folder / name).get(use)
            text = told.get("content") if isinstance(told, dict) else told
            if isinstance(text, str):
                return text
    return None


def _of_file(name: str, path: Path) -> Iterator[Listed]:
    told = _object(path)
    if name == TOKENIZER:
        yield from _tokens(told.get("added_tokens"))
    elif name == ADDED:
        for content, number in told.items():
            yield Listed(content, _id(number), {})
    elif name == CONFIG:
        by_id = told.get("added_tokens_decoder")
        for number, token in by_id.items() if isinstance(by_id, dict) else ():
            if isinstance(token, dict) and number.isdecimal() and len(number) < 9:
                yield from _tokens([token | {"id": int(number)}])
        yield from _uses(told)
    else:
        yield from _uses(told)


def _uses(told: dict[str, Any]) -> Iterator[Listed]:
    """The special tokens that are named by their uses."""
    for use in USES:
        value = told.get(use)
        for token in value if isinstance(value, list) else [value]:
            content = token.get("content") if isinstance(token, dict) else token
            if isinstance(content, str) and content:
                yield Listed(content, None, _flags(token) | {"special": True, "normalized": False})


def _tokens(told: object) -> Iterator[Listed]:
    """Tokens that are objects with their properties."""
    for token in told if isinstance(told, list) else ():
        if isinstance(token, dict) and isinstance(token.get("content"), str):
            yield Listed(token["content"], _id(token.get("id")), _flags(token))


def _flags(token: object) -> dict[str, bool]:
    found = token if isinstance(token, dict) else {}
    return {name: found[name] for name in FLAGS if isinstance(found.get(name), bool)}


def _id(number: object) -> int | None:
    known = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < MOST_IDS
    return number if known else None  # type: ignore[return-value]


def _object(path: Path) -> dict[str, Any]:
    told = json_file.parse_file(path)
    if not isinstance(told, dict):
        raise CheckpointError(f"{path.name}: not a JSON object")
    return told


def texts(tokens: Iterable[Listed]) -> list[str]:
    """The texts of tokens."""
    return [token.content for token in tokens]
