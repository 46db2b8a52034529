"""Checks of token ids for a float model."""

from __future__ import annotations

from collections.abc import Sequence

from weights_import.float_model import FloatModel

Ids = Sequence[int]


def check_sources(model: FloatModel, sources: Sequence[Ids]) -> None:
    """Raises ValueError for an id outside the vocabulary, and for a source without its frame.

    The sources of a decoder alone must be empty.
    """
    frame = model.generation.frame
    check_ids("source", sources, model.generation.source_vocabulary)
    before, after = list(frame.before), list(frame.after)
    for i, source in enumerate(sources) if model.translates else ():
        inner = list(source)[len(before) : len(source) - len(after)]
        if not source or list(source) != [*before, *inner, *after]:
            raise ValueError(f"source {i} is not framed by {before} and {after}")


def check_ids(what: str, sequences: Sequence[Ids], vocabulary: int) -> None:
    """Raises ValueError on an id outside the vocabulary."""
    for i, sequence in enumerate(sequences):
        if not all(0 <= token < vocabulary for token in sequence):
            raise ValueError(f"{what} {i}: a token id is outside 0..{vocabulary - 1}")
