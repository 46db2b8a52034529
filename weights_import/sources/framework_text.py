"""The vocabularies and the tokenizers beside the checkpoints of training frameworks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from weights_import.errors import CheckpointError
from weights_import.sources.tokenizers import by_side, read_limited
from weights_import.sources.vocabulary import of_characters, renumbered

MODELS = "*.spm", "*.model"
"""The names of SentencePiece models."""


def numbered(pieces: Iterable[str], name: str) -> dict[str, int]:
    """Ids by piece, in their order; raises CheckpointError for a piece that stands twice."""
    listed = list(pieces)
    found = {piece: number for number, piece in enumerate(listed)}
    if len(found) < len(listed):
        raise CheckpointError(f"{name}: a piece twice")
    return found


def lines(path: Path) -> list[str]:
    """The lines of a text; raises CheckpointError for what is no text."""
    try:
        text = read_limited(path).decode()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path.name}: {error}") from None
    return text.removesuffix("\n").split("\n")


def models_in(folder: Path) -> list[Path]:
    """The SentencePiece models in a folder."""
    return sorted(path for pattern in MODELS for path in folder.glob(pattern) if path.is_file())


def tokenizers(
    folder: Path,
    vocabularies: Mapping[str, Mapping[str, int]],
    eos: str,
    unk: str,
) -> tuple[dict[str, bytes], list[str]]:
    """The tokenizer of each side with the ids of its vocabulary, as far as there are any, and what
    is to be said of them.

    Raises CheckpointError for damaged ones.
    """
    there = by_side(models_in(folder))
    found = {}
    for side, vocabulary in vocabularies.items():
        try:
            if side in there:
                found[side] = renumbered(read_limited(there[side]), vocabulary, eos, unk)
            elif content := of_characters(vocabulary, eos, unk):
                found[side] = content
        except CheckpointError as error:
            raise CheckpointError(f"{side} tokenizer: {error}") from None
    return found, []
