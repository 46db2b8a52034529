"""Converts text to token ids and back.  One class for each kind of tokenizer."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import accumulate, pairwise

import sentencepiece

from int8ref.files.model_file import Tokenizer
from int8ref.text.text_tokenizer import TextTokenizer, TokenizerError, check_text, in_one_line

__all__ = ["SentencePiece", "TextTokenizer", "TokenizerError", "build_tokenizer", "in_one_line"]


class SentencePiece:
    """A SentencePiece model (Kudo and Richardson 2018).  `model`: the bytes of its file."""

    def __init__(self, model: bytes) -> None:
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise TokenizerError(f"not a SentencePiece model: {error}") from None
        self.size: int = self._processor.vocab_size()
        self._unknown: int = self._processor.unk_id()

    def encode(self, line: str) -> list[int]:
        """Implement `TextTokenizer.encode`."""
        check_text(line)
        ids: list[int] = self._processor.encode(line.encode())
        return ids

    def encode_marked(self, text: str) -> list[int]:
        """Implement `TextTokenizer.encode_marked`.  The library cuts control tokens like any text.
        The pieces between them are cut one by one, as texts of their own."""
        ids: list[int] = []
        for piece in self._marked.split(text):
            known = self._control.get(piece)
            ids += self.encode(piece) if known is None else [known]
        return ids

    @cached_property
    def _control(self) -> dict[str, int]:
        """The control tokens by their texts."""
        is_control, name = self._processor.is_control, self._processor.id_to_piece
        return {name(token): token for token in range(self.size) if is_control(token)}

    @cached_property
    def _marked(self) -> re.Pattern[str]:
        named = sorted(filter(None, self._control), key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, named))})" if named else r"(?!)")

    @property
    def special_texts(self) -> frozenset[str]:
        """Implement `TextTokenizer.special_texts`."""
        return frozenset(filter(None, self._control))

    def unknown(self, line: str, ids: Sequence[int]) -> list[tuple[int, str]]:
        """Implement `TextTokenizer.unknown`.  The library returns unknown text as a piece."""
        if self._unknown not in ids:
            return []
        pieces: list[str] = self._processor.encode(line, out_type=str)
        return [(i, pieces[i]) for i, token in enumerate(ids) if token == self._unknown]

    def spans(self, line: str, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Implement `TextTokenizer.spans`.  The library counts bytes of UTF-8."""
        found = self._processor.encode(line.encode(), return_type="offset_mapping")["offsets"]
        places = list(accumulate((len(character.encode()) for character in line), initial=0))
        ends = [bisect_left(places, end) for _, end in found][: len(ids)]
        return list(pairwise([0, *ends]))

    def text(self, ids: Sequence[int]) -> str:
        """Implement `TextTokenizer.text`."""
        text: str = self._processor.decode(list(ids))
        return text

    def decode(self, ids: Sequence[int]) -> str:
        """Implement `TextTokenizer.decode`."""
        return in_one_line(self.text(ids))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Implement `TextTokenizer.pieces`."""
        pieces: list[str] = self._processor.id_to_piece(list(ids))
        return pieces


def _tokenizer_json(model: bytes) -> TextTokenizer:
    from int8ref.text.tokenizer_json import TokenizerJson  # loaded on first use

    return TokenizerJson(model)


def _subword_pairs(model: bytes) -> TextTokenizer:
    from int8ref.text.subword_pairs import SubwordPairs  # loaded on first use

    return SubwordPairs(model)


KINDS: dict[str, Callable[[bytes], TextTokenizer]] = {
    "sentencepiece": SentencePiece,
    "tokenizers": _tokenizer_json,
    "subword-nmt": _subword_pairs,
}


def build_tokenizer(tokenizer: Tokenizer, size: int) -> TextTokenizer:
    """Build the tokenizer of a model file.  `size`: size of the vocabulary of the model's program.

    Raises `TokenizerError`.
    """
    built = KINDS[tokenizer.kind](tokenizer.model)
    if built.size != size:
        raise TokenizerError(f"a tokenizer of {built.size} pieces for a vocabulary of {size}")
    return built
