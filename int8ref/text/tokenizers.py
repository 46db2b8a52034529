"""Text to token ids and back, by kinds of tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import sentencepiece

from int8ref.errors import UserError
from int8ref.files.model_file import Tokenizer
from int8ref.text.lines import TextError


class TokenizerError(UserError, ValueError):
    """Bytes that are no tokenizer, or not the one of this model: the message says which."""


class TextTokenizer(Protocol):
    """What every kind offers.  Immutable: may be used from several threads at once."""

    @property
    def size(self) -> int:
        """Number of token ids."""
        ...

    def encode(self, line: str) -> list[int]:
        """Token ids of one line, without eos; empty where the line holds no text.

        Raises `UnicodeEncodeError` for a lone surrogate, which is no text.
        """
        ...

    def unknown(self, line: str, ids: Sequence[int]) -> list[tuple[int, str]]:
        """Which of the tokens `encode(line)` stand for text that no token is of: place, text."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """The text that tokens are of."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """One line of text: line feeds and carriage returns in a piece become spaces."""
        ...

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token, as the vocabulary has it."""
        ...


class SentencePiece:
    """A SentencePiece model (Kudo and Richardson 2018), given as its bytes."""

    def __init__(self, model: bytes) -> None:
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise TokenizerError(f"not a SentencePiece model: {error}") from None
        self.size: int = self._processor.vocab_size()
        self._unknown: int = self._processor.unk_id()

    def encode(self, line: str) -> list[int]:
        """See `TextTokenizer.encode`."""
        try:
            ids: list[int] = self._processor.encode(line.encode())
        except UnicodeEncodeError as error:
            character = line[error.start]
            raise TextError(f"the text has half a surrogate pair, {character!r}") from None
        return ids

    def unknown(self, line: str, ids: Sequence[int]) -> list[tuple[int, str]]:
        """See `TextTokenizer.unknown`; a piece that is none of the vocabulary is its own text."""
        if self._unknown not in ids:
            return []
        pieces: list[str] = self._processor.encode(line, out_type=str)
        return [(i, pieces[i]) for i, token in enumerate(ids) if token == self._unknown]

    def text(self, ids: Sequence[int]) -> str:
        """See `TextTokenizer.text`."""
        text: str = self._processor.decode(list(ids))
        return text

    def decode(self, ids: Sequence[int]) -> str:
        """See `TextTokenizer.decode`."""
        return in_one_line(self.text(ids))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """See `TextTokenizer.pieces`."""
        pieces: list[str] = self._processor.id_to_piece(list(ids))
        return pieces


def in_one_line(text: str) -> str:
    """Line feeds and carriage returns as spaces."""
    return text.replace("\r", " ").replace("\n", " ")


KINDS: dict[str, Callable[[bytes], TextTokenizer]] = {"sentencepiece": SentencePiece}


def build_tokenizer(tokenizer: Tokenizer, size: int) -> TextTokenizer:
    """The tokenizer that a model file carries; `size` is the vocabulary of the model's program.

    Raises `TokenizerError`.
    """
    built = KINDS[tokenizer.kind](tokenizer.model)
    if built.size != size:
        raise TokenizerError(f"a tokenizer of {built.size} pieces for a vocabulary of {size}")
    return built
