"""The tokens of languages that the tokenizer of a Hugging Face folder tells, with their ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from int8ref.program.languages import Languages
from weights_import.errors import CheckpointError
from weights_import.sources import json_file
from weights_import.sources.language_tokens import M2M100, OF_EACH

MAP, CONFIG = "special_tokens_map.json", "tokenizer_config.json"
NUMBERED = "added_tokens.json", "tokenizer.json", CONFIG
M2M100_CLASS, M2M100_USUAL = "M2M100Tokenizer", "m2m100"
"""The tokenizer whose newer versions list no languages, and the name of its usual list."""
LISTS = "additional_special_tokens", "extra_special_tokens"


def language_files(folder: Path) -> list[Path]:
    """The files that `language_ids` reads."""
    named = dict.fromkeys((*NUMBERED, MAP))
    return [folder / name for name in named if (folder / name).is_file()]


def language_ids(folder: Path, first: int) -> dict[str, int]:
    """The ids of the tokens of languages.

    A file tells them, or the list of the additional tokens, whose ids begin with `first`.  Raises
    CheckpointError without such tokens.
    """
    found: dict[str, int] = {}
    for name in NUMBERED:
        for token, number in _numbered(json_of(folder / name)):
            if type(token) is str and type(number) is int and OF_EACH.fullmatch(token):
                found.setdefault(token, number)
    if found:
        return found
    for name in (MAP, CONFIG):
        told = json_of(folder / name)
        for key in LISTS:
            listed = told.get(key)
            texts = [_text(one) for one in listed] if isinstance(listed, list) else []
            tokens = [token for token in texts if OF_EACH.fullmatch(token)]
            if tokens:
                return {token: first + i for i, token in enumerate(dict.fromkeys(tokens))}
    config = json_of(folder / CONFIG)
    if config.get("tokenizer_class") == M2M100_CLASS:
        listed = M2M100.get(str(config.get("language_codes", M2M100_USUAL)), "").split()
        found = {f"__{code}__": first + i for i, code in enumerate(listed)}
    if found:
        return found
    raise CheckpointError(
        f"no tokens of languages in {', '.join(NUMBERED)} or {MAP} beside it; save the tokenizer of"
        " the model into its folder"
    )


def with_default(languages: Languages, tokens: Mapping[str, int], forced: int | None) -> Languages:
    """The languages with the default target that a configuration forces, if it is a language.

    `tokens` are the ids of the languages by their codes.
    """
    named = [code for code, token in tokens.items() if token == forced]
    return msgspec.structs.replace(languages, target=named[0]) if named else languages


def tokenizer_class(folder: Path) -> str:
    """The name of the class of the tokenizer, without the ending of the fast ones; may be empty."""
    return str(json_of(folder / CONFIG).get("tokenizer_class", "")).removesuffix("Fast")


def json_of(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty without the file.  Raises CheckpointError for another."""
    if not path.is_file():
        return {}
    told = json_file.parse_file(path)
    if not isinstance(told, dict):
        raise CheckpointError(f"{path.name}: not a JSON object")
    return told


def _numbered(told: Mapping[str, Any]) -> Iterator[tuple[object, object]]:
    """The tokens and ids in a file of one of the three forms."""
    yield from told.items()
    listed, decoder = told.get("added_tokens"), told.get("added_tokens_decoder")
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict):
            yield one.get("content"), one.get("id")
    for number, one in decoder.items() if isinstance(decoder, dict) else []:
        if isinstance(one, dict) and number.isascii() and number.isdigit():
            yield one.get("content"), int(number[:18])


def _text(token: object) -> str:
    """The text of a token, which may be an object; empty for anything else."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""
