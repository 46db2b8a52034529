"""The interface of all tokenizers: text to token ids and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from int8ref.errors import UserError
from int8ref.text.lines import TextError


class TokenizerError(UserError, ValueError):
    """The bytes are no tokenizer, or the tokenizer does not fit the model."""


class TextTokenizer(Protocol):
    """The interface of all tokenizers.  Immutable: several threads may use a tokenizer at once."""

    def __hash__(self) -> int: ...

    @property
    def size(self) -> int:
        """Number of token ids."""
        ...

    def encode(self, line: str) -> list[int]:
        """Return the token ids of one line, without eos.  A line without text has no token ids.

        Raises `TextError` for half a surrogate pair, because it is no text.
        """
        ...

    def encode_marked(self, text: str) -> list[int]:
        """Return the token ids of a text whose special tokens are written out, as in a chat."""
        ...

    @property
    def special_texts(self) -> frozenset[str]:
        """The texts that `encode_marked` reads as special tokens."""
        ...

    def unknown(self, line: str, ids: Sequence[int]) -> list[tuple[int, str]]:
        """Return the place and the text of each unknown token in `encode(line)`."""
        ...

    def spans(self, line: str, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Return the place in the line of each token of `encode(line)`: begin and end."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of the tokens."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the tokens as one line.

        Line feeds and carriage returns become spaces.
        """
        ...

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token, as the vocabulary stores it."""
        ...


def in_one_line(text: str) -> str:
    """Replace line feeds and carriage returns by spaces."""
    return text.replace("\r", " ").replace("\n", " ")


def check_text(line: str) -> None:
    """Raise `TextError` for half a surrogate pair, because it is no text."""
    try:
        line.encode()
    except UnicodeEncodeError as error:
        character = line[error.start]
        raise TextError(f"the text has half a surrogate pair, {character!r}") from None
