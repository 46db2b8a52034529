"""A tokenizer in a model file: its kind, its bytes, and the check that a library can read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from int8ref.files import sentencepiece_file
from int8ref.files.container import ModelFileError

TokenizerKind = Literal["sentencepiece", "tokenizers", "subword-nmt"]
BEGINNINGS: dict[bytes, TokenizerKind] = {b'{"size"': "tokenizers", b'{"subword"': "subword-nmt"}
"""The first bytes of tokenizers in JSON, with which no SentencePiece model begins."""


@dataclass(frozen=True)
class Tokenizer:
    """The kind of a tokenizer, and the bytes of its model.

    sentencepiece  a SentencePiece model
    tokenizers     a tokenizer.json for the library `tokenizers`, see `tokenizer_file`
    subword-nmt    merges and a vocabulary, see `subword_file`
    """

    kind: TokenizerKind
    model: bytes

    @staticmethod
    def of(model: bytes) -> Tokenizer:
        """Return the tokenizer of these bytes.  Their beginning tells the kind."""
        kinds = (kind for start, kind in BEGINNINGS.items() if model.startswith(start))
        return Tokenizer(next(kinds, "sentencepiece"), model)

    def __repr__(self) -> str:
        return f"<Tokenizer {self.kind}, {len(self.model)} bytes>"


def _check_library(model: bytes) -> None:
    from int8ref.files import tokenizer_file  # loaded on first use: most models do not need it

    tokenizer_file.check(model)


def _check_merges(model: bytes) -> None:
    from int8ref.files import subword_file  # loaded on first use: most models do not need it

    subword_file.check(model)


CHECKS: dict[TokenizerKind, tuple[str, Callable[[bytes], None]]] = {
    "sentencepiece": ("SentencePiece model", sentencepiece_file.check),
    "tokenizers": ("tokenizer.json", _check_library),
    "subword-nmt": ("list of merges", _check_merges),
}
"""The name of each kind of tokenizer, and what checks that it can be read safely."""


def check(name: str, kind: TokenizerKind, model: bytes) -> None:
    """Raise `ModelFileError` for a tokenizer that its library cannot read safely."""
    what, is_safe = CHECKS[kind]
    try:
        is_safe(model)
    except sentencepiece_file.UnsafeModelError as error:
        raise ModelFileError(f"tensor {name!r} is a damaged {what}: {error}") from None
