"""The tokenizer of a model file that `int8ref.text.subword_pairs` reads: merges and a vocabulary.

    {"subword": {"merges": [["l", "o"], ["lo", "w</w>"]], "tokens": ["<unk>", "lo@@", ...], ...}}

A file is data from a stranger: sizes are checked here.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from int8ref.files.tokenizer_file import UnsafeTokenizerError, check_texts

MOST_TEXT = 1 << 24
"""Bytes of all tokens."""

Mark = Annotated[str, msgspec.Meta(max_length=16)]
Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 24)]


class Subword(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Merges of pairs (Sennrich et al. 2016), and the ids of the pieces.

    tokens      the piece of each id
    unknown     id of a piece that has no id
    merges      pairs of symbols, the first pair first; None: a word is one piece
    special     ids that stand for no text
    continuing  end of a piece that does not end its word, such as @@
    end         end of a piece that ends its word, such as </w>
    apart       whether the end of a word is a symbol of its own (codes of version 0.1)
    lowercase   whether a text is lowercased
    """

    tokens: list[str]
    unknown: Id
    merges: list[tuple[str, str]] | None = None
    special: list[Id] = []
    continuing: Mark = ""
    end: Mark = ""
    apart: bool = False
    lowercase: bool = False


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    subword: Subword


def encode(subword: Subword) -> bytes:
    """The bytes of a tokenizer.  Raises `UnsafeTokenizerError` as `check`."""
    _check(subword)
    return msgspec.json.encode(Document(subword), order="sorted")


def decode(model: bytes) -> Subword:
    """A tokenizer from its bytes.  Raises `UnsafeTokenizerError`."""
    try:
        return msgspec.json.decode(model, type=Document).subword
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise UnsafeTokenizerError(str(error)) from None


def check(model: bytes) -> None:
    """Check a tokenizer.  Raises `UnsafeTokenizerError`."""
    _check(decode(model))


def _check(found: Subword) -> None:
    check_texts(found.tokens, MOST_TEXT)
    if len(set(found.tokens)) < len(found.tokens):
        raise UnsafeTokenizerError("a token is there twice")
    if max([found.unknown, *found.special]) >= len(found.tokens):
        raise UnsafeTokenizerError(f"an id outside of {len(found.tokens)} tokens")
    if found.merges is not None and bool(found.continuing) == bool(found.end):
        raise UnsafeTokenizerError("not exactly one of the marks continuing and end")
