"""Tokenizers of the library `tokenizers`: byte-level BPE, Unigram, WordPiece, BPE with bytes.

The library is imported only if a model needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from int8ref.errors import UserError
from int8ref.host import extras
from int8ref.text.text_tokenizer import TokenizerError, check_text, in_one_line

Result = TypeVar("Result")
PANIC, FAULT = "PanicException", "a fault of the package tokenizers"
MOST_MESSAGE = 200


class _Unknown(msgspec.Struct):
    """The name or the id of unknown text."""

    unk_token: str | None = None
    unk_id: int | None = None


class _Special(msgspec.Struct):
    """What is read here of a tokenizer, because the library does not tell it."""

    model: _Unknown


class _Told(msgspec.Struct):
    """The number of token ids, and what the library reads."""

    size: int
    tokenizer: msgspec.Raw


class TokenizerJson:
    """A tokenizer of the library `tokenizers`.  `model`: the bytes of `tokenizer_file.encode`.

    No special tokens are added to a text: they are in the Program.  An added token is one token
    wherever it is in a text.
    """

    def __init__(self, model: bytes) -> None:
        try:
            told = msgspec.json.decode(model, type=_Told)
            special = msgspec.json.decode(told.tokenizer, type=_Special).model
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise TokenizerError(f"not a tokenizer: {error}") from None
        self.size = told.size
        self._library = _built(bytes(told.tokenizer).decode())
        unknown = special.unk_token
        self._unknown = special.unk_id if unknown is None else self._library.token_to_id(unknown)

    def encode(self, line: str) -> list[int]:
        """Implement `TextTokenizer.encode`."""
        return list(self._encoded(line).ids)

    def encode_marked(self, text: str) -> list[int]:
        """Implement `TextTokenizer.encode_marked`."""
        return self.encode(text)

    @property
    def special_texts(self) -> frozenset[str]:
        """Implement `TextTokenizer.special_texts`."""
        added = self._library.get_added_tokens_decoder().values()
        return frozenset(token.content for token in added if token.special)

    def unknown(self, line: str, ids: Sequence[int]) -> list[tuple[int, str]]:
        """Implement `TextTokenizer.unknown`."""
        if self._unknown is None or self._unknown not in ids:
            return []
        places = self._encoded(line).offsets
        unknown = (i for i, token in enumerate(ids) if token == self._unknown)
        return [(i, line[places[i][0] : places[i][1]]) for i in unknown]

    def spans(self, line: str, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Implement `TextTokenizer.spans`."""
        return list(self._encoded(line).offsets[: len(ids)])

    def text(self, ids: Sequence[int]) -> str:
        """Implement `TextTokenizer.text`.  Special tokens have no text."""
        return str(_guarded(self._library.decode, list(ids)))

    def decode(self, ids: Sequence[int]) -> str:
        """Implement `TextTokenizer.decode`."""
        return in_one_line(self.text(ids))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Implement `TextTokenizer.pieces`."""
        named = map(self._library.id_to_token, ids)
        return [f"<unused{i}>" if n is None else n for i, n in zip(ids, named, strict=True)]

    def _encoded(self, line: str) -> Any:
        """Return the tokens of a line, and their places."""
        check_text(line)
        return _guarded(self._library.encode, line, add_special_tokens=False)


def _built(text: str) -> Any:
    """Return the tokenizer of the library.  Raises `TokenizerError`."""
    try:  # only here, because most models do not need the library
        tokenizers = extras.required(
            "tokenizers", "tokenizers", "the tokenizer of this model needs"
        )
    except UserError as error:
        raise TokenizerError(str(error)) from None
    return _guarded(tokenizers.Tokenizer.from_str, text)


def _guarded(function: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
    """Call a function of the library.  Raises `TokenizerError` for its errors.

    The library reports a fault of its own by a `PanicException`, which is no `Exception`.
    """
    try:
        return function(*arguments, **named)
    except Exception as error:
        raise TokenizerError(f"the package tokenizers: {error}"[:MOST_MESSAGE]) from None
    except BaseException as error:
        if type(error).__name__ != PANIC:
            raise
        raise TokenizerError(f"{FAULT}: {error}"[:MOST_MESSAGE]) from None
