"""The readers of tokenizers, for tokenizers that are safe to read."""

from __future__ import annotations

from functools import lru_cache

import sentencepiece

from int8ref.files.model_file import Tokenizer
from int8ref.files.sentencepiece_file import UnsafeModelError, check
from int8ref.text.tokenizer_json import TokenizerJson
from int8ref.text.tokenizers import SentencePiece, TextTokenizer, TokenizerError
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
    if Tokenizer.of(model).kind == "sentencepiece":
        processor(model)
        return SentencePiece(model)
    try:
        return TokenizerJson(model)
    except TokenizerError as error:
        raise CheckpointError(str(error)) from None


def told(model: bytes) -> tuple[int, ...]:
    """What a tokenizer tells of its tokens: their number; a SentencePiece model also the ids of
    the end mark and of unknown text.  Raises CheckpointError for a damaged one."""
    if Tokenizer.of(model).kind == "tokenizers":
        return (reader(model).size,)
    found = processor(model)
    return found.vocab_size(), found.eos_id(), found.unk_id()
