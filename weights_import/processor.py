"""The readers of tokenizers, for tokenizers that are safe to read."""

from __future__ import annotations

from functools import lru_cache

import sentencepiece

from int8ref.files.model_file import Tokenizer
from int8ref.files.sentencepiece_file import UnsafeModelError, check
from int8ref.text.tokenizers import KINDS, TextTokenizer, TokenizerError
from weights_import.errors import CheckpointError


@lru_cache(maxsize=4)
def processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    """The library's reader of a SentencePiece model.  Raises CheckpointError for a damaged one."""
    found = sentencepiece.SentencePieceProcessor()
    try:
        check(model)
        found.LoadFromSerializedProto(model)
    except (UnsafeModelError, RuntimeError) as error:
        raise CheckpointError(f"not a SentencePiece model: {error}") from None
    return found


@lru_cache(maxsize=4)
def reader(model: bytes) -> TextTokenizer:
    """The reader of a tokenizer of any kind.  Raises CheckpointError for a damaged one."""
    kind = Tokenizer.of(model).kind
    if kind == "sentencepiece":
        processor(model)
    try:
        return KINDS[kind](model)
    except TokenizerError as error:
        raise CheckpointError(str(error)) from None


def told(model: bytes) -> tuple[int, ...]:
    """What a tokenizer tells of its tokens: their number; a SentencePiece model also the ids of
    the end mark and of unknown text.  Raises CheckpointError for a damaged one."""
    if Tokenizer.of(model).kind != "sentencepiece":
        return (reader(model).size,)
    found = processor(model)
    return found.vocab_size(), found.eos_id(), found.unk_id()
