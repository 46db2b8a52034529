"""The reader of the library SentencePiece, for models that are safe to read."""

from __future__ import annotations

from functools import lru_cache

import sentencepiece

from int8ref.files.sentencepiece_file import UnsafeModelError, check
from weights_import.errors import CheckpointError


@lru_cache(maxsize=4)
def processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    """The library's reader of a model.  Raises CheckpointError for a damaged one."""
    found = sentencepiece.SentencePieceProcessor()
    try:
        check(model)
        found.LoadFromSerializedProto(model)
    except (UnsafeModelError, RuntimeError) as error:
        raise CheckpointError(f"not a SentencePiece model: {error}") from None
    return found
