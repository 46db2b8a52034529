"""A tokenizer.json of the library `tokenizers`, as the tokenizer of a model file.

Only what texts and ids depend on is kept: the model, the normalizer, the pre-tokenizer, the decoder
and the added tokens.  Marks around a text are left out, because they are in the Program.  Older
versions of the library write some parts in another way; here all have one form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from int8ref.files import tokenizer_file
from int8ref.files.tokenizer_file import Document, Library, UnsafeTokenizerError
from int8ref.files.tokenizer_parts import AddedToken, Unigram
from weights_import.errors import CheckpointError
from weights_import.sources import json_file

KEPT = "model", "normalizer", "pre_tokenizer", "decoder", "added_tokens"
UNREAD = {"Metaspace": ("str_rep",)}
"""Fields of older versions that change no text."""
KINDS = {"merges": "BPE", "max_input_chars_per_word": "WordPiece", "unk_id": "Unigram"}
"""Fields of models that tell their kind, in the order in which the library tries it."""


def of_json(content: bytes, size: int = 0) -> bytes:
    """The tokenizer of a model with `size` embeddings (0: as many as tokens) from a tokenizer.json.

    Raises CheckpointError for a file that is damaged, not supported, or has more tokens.
    """
    try:
        told = json_file.parse(content)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"not JSON: {error}") from None
    if not isinstance(told, dict) or not isinstance(told.get("model"), dict):
        raise CheckpointError("no tokenizer: it has no model")
    return of_parts(told, size)


def of_parts(told: Mapping[str, Any], size: int = 0) -> bytes:
    """The same from the parts of a tokenizer.json."""
    try:
        found = {name: _cleaned(told[name]) for name in KEPT if told.get(name) is not None}
        _modern(found["model"])
        library = _numbered(msgspec.convert(found, Library))
        needed = 1 + max(_ids(library), default=0)
        if size and needed > size:
            raise CheckpointError(f"a tokenizer of {needed} tokens for {size} embeddings")
        return tokenizer_file.encode(Document(size or needed, library))
    except (msgspec.ValidationError, UnsafeTokenizerError, RecursionError) as error:
        raise CheckpointError(f"not supported: {json_file.said(error)}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"damaged: {type(error).__name__}: {error}"[:200]) from None


def _cleaned(part: Any) -> Any:
    """A part without null fields, and without the fields that change no text."""
    if isinstance(part, list):
        return [_cleaned(one) for one in part] if _is_parts(part) else part
    if not isinstance(part, dict):
        return part
    unread = UNREAD.get(part.get("type", ""), ())
    return {n: _cleaned(x) for n, x in part.items() if x is not None and n not in unread}


def _is_parts(listed: list[Any]) -> bool:
    return bool(listed) and isinstance(listed[0], dict)


def _modern(model: dict[str, Any]) -> None:
    """Gives a model its kind, and merges their two parts."""
    if "type" not in model:
        model["type"] = next((kind for f, kind in KINDS.items() if f in model), "WordLevel")
    model.pop("dropout", None)
    merges = model.get("merges")
    if model["type"] == "BPE" and isinstance(merges, list):
        model["merges"] = [m.split(" ") if isinstance(m, str) else m for m in merges]


def _ids(library: Library) -> list[int]:
    """All ids of a tokenizer."""
    added = (token.id for token in library.added_tokens)
    return [*tokenizer_file.tokens(library.model).values(), *added]


def _numbered(library: Library) -> Library:
    """A tokenizer whose added tokens keep their ids.

    The library numbers added tokens by their places.  Where this gives other ids, the added tokens
    become tokens of the model, which the model itself never makes: of a Unigram model the holes
    between are filled with added tokens that stand in no text.
    """
    added = sorted(library.added_tokens, key=lambda token: token.id)
    model = library.model
    listed = tokenizer_file.tokens(model)
    new = [token for token in added if token.content not in listed]
    places = range(len(listed), len(listed) + len(new))
    dense = not new or max(listed.values(), default=-1) < len(listed)
    if not (dense and [token.id for token in new] == list(places)):
        if isinstance(model, Unigram):
            there = {token.id for token in new}
            top = max(there, default=0)
            if len(there) < len(new) or min(there) < len(listed) or top > 2 * len(_ids(library)):
                raise CheckpointError("the ids of its added tokens are not those of new tokens")
            holes = [i for i in range(len(listed), top) if i not in there]
            added += [_filling(i) for i in holes]
            added.sort(key=lambda token: token.id)
        else:
            vocab = listed | {token.content: token.id for token in new}
            model = msgspec.structs.replace(model, vocab=vocab)
    return msgspec.structs.replace(library, model=model, added_tokens=added)


def _filling(i: int) -> AddedToken:
    return AddedToken(id=i, content=f"<unused{i}>", normalized=False, special=True)
