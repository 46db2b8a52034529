"""The tokenizer beside a checkpoint of Hugging Face's transformers, one for both sides.

tokenizer.model         a SentencePiece model: unless texts may hold added tokens that it cuts, and
                        a tokenizer.json is there, which does not cut them
tokenizer.json          a tokenizer of the library `tokenizers`
vocab.json, merges.txt  in older folders, see `older_tokenizers`; and vocab.txt

The tokens that `added_tokens` lists are never cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from int8ref.files import tokenizer_file
from weights_import.errors import CheckpointError
from weights_import.processor import processor
from weights_import.sources import added_tokens, json_file
from weights_import.sources.added_tokens import Listed
from weights_import.sources.hugging_face_config import HARMLESS, shown
from weights_import.sources.older_tokenizers import MAKERS, MERGES, VOCABULARY, WORDS
from weights_import.sources.tokenizer_json import of_parts
from weights_import.sources.tokenizers import read_limited
from weights_import.sources.vocabulary import CONTROL, NO_PIECE, padded, pieces_of, with_added

SENTENCEPIECE = "tokenizer.model"
TOKENIZER = "tokenizer.json"
WANTED = f"{SENTENCEPIECE}, {TOKENIZER}, {WORDS}, or {VOCABULARY} with {MERGES}"
FILES = SENTENCEPIECE, VOCABULARY, MERGES, WORDS, *added_tokens.FILES
FIRST = b"\n"
"""The first byte of a SentencePiece model.  Some models have another file of this name."""


@dataclass(frozen=True)
class Found:
    """A tokenizer: its bytes, its end mark and its token of unknown text; -1 without them."""

    content: bytes
    eos: int = NO_PIECE
    unk: int = NO_PIECE
    warnings: list[str] = field(default_factory=list)


def files(folder: Path) -> list[Path]:
    """The files that `tokenizer` may read."""
    return [folder / name for name in FILES if (folder / name).is_file()]


def tokenizer(folder: Path, size: int) -> Found | None:
    """The tokenizer in a folder, with `size` ids; None without one.

    Raises CheckpointError for damaged files, and for a tokenizer of more tokens.
    """
    path = folder / SENTENCEPIECE
    if path.is_file():
        content, told = read_limited(path), _json(folder)
        if told is None or content.startswith(FIRST):
            return _sentencepiece(folder, content, size, told)
    if found := library_tokenizer(folder, size):
        return found
    for names, make in MAKERS.items():
        if all((folder / name).is_file() for name in names):
            return _of_parts(folder, names[-1], make(folder), size)
    return None


def library_tokenizer(folder: Path, size: int) -> Found | None:
    """The tokenizer in the tokenizer.json of a folder, with `size` ids; None without the file.

    Raises CheckpointError as `tokenizer`.
    """
    if not (folder / TOKENIZER).is_file():
        return None
    told = _json(folder)
    if told is None:
        raise CheckpointError(f"{TOKENIZER}: no tokenizer, because it has no model")
    return _of_parts(folder, TOKENIZER, told, size)


def _json(folder: Path) -> dict[str, Any] | None:
    """The tokenizer.json of a folder; None without a file that has a model."""
    path = folder / TOKENIZER
    told = json_file.parse_file(path) if path.is_file() else None
    return told if isinstance(told, dict) and isinstance(told.get("model"), dict) else None


def _of_parts(folder: Path, name: str, told: dict[str, Any], size: int) -> Found:
    """The tokenizer of a tokenizer.json, with what other files add."""
    try:
        told = told | {"added_tokens": with_listed(told, added_tokens.listed(folder))}
        content = of_parts(told, size)
        model = tokenizer_file.decode(content).tokenizer.model
        unk = tokenizer_file.unknown(model)
        named = added_tokens.named(folder, "unk_token")
        if unk is None and named is not None:
            unk = tokenizer_file.tokens(model).get(named)
        return Found(content, unk=NO_PIECE if unk is None else unk)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from None


def with_listed(told: Mapping[str, Any], tokens: Mapping[str, Listed]) -> list[Any]:
    """The added tokens of a tokenizer.json, and those that other files list: with their ids, or
    with the ids that the model has for them."""
    own = told.get("added_tokens")
    found = list(own) if isinstance(own, list) else []
    known = {token.get("content") for token in found if isinstance(token, dict)}
    vocabulary = told["model"].get("vocab")
    ids = vocabulary if isinstance(vocabulary, dict) else {}
    for token in tokens.values():
        number = ids.get(token.content, token.id)
        if token.content not in known and number is not None:
            found.append({"id": number, "content": token.content} | token.flags)
    return found


def _sentencepiece(folder: Path, content: bytes, size: int, told: dict[str, Any] | None) -> Found:
    """The tokenizer of a SentencePiece model, or of a tokenizer.json that knows more tokens."""
    try:
        pieces = pieces_of(content)
        listed = added_tokens.listed(folder)
        added = {text: t for text, t in listed.items() if not HARMLESS.fullmatch(text)}
        new = {text: t.id for text, t in added.items() if text not in pieces and t.id is not None}
        control = [text for text in added if text in pieces and pieces[text].type == CONTROL]
        if told is not None and (new or control):
            return _of_parts(folder, TOKENIZER, told, size)
        made = padded(with_added(content, new), size)
        warnings = [f"texts that hold {shown(control)} are cut like any text"] if control else []
        read = processor(made)
        return Found(made, read.eos_id(), read.unk_id(), warnings)
    except CheckpointError as error:
        raise CheckpointError(f"{SENTENCEPIECE}: {error}") from None
