"""SentencePiece's own reader, for a model that is safe to be read."""

from __future__ import annotations

import sentencepiece

from int8ref.files.sentencepiece_file import UnsafeModelError, check
from weights_import.float_model import CheckpointError


def processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    """The library's reader of a model.  Raises CheckpointError for a damaged one."""
    found = sentencepiece.SentencePieceProcessor()
    try:
        check(model)
        found.LoadFromSerializedProto(model)
    except (UnsafeModelError, RuntimeError) as error:
        raise CheckpointError(f"not a SentencePiece model: {error}") from None
    return found
