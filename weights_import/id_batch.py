"""Checks of token ids for a float model."""

from __future__ import annotations

from collections.abc import Sequence

from int8ref.program.source_frame import SourceFrame
from weights_import.float_model import FloatModel

Ids = Sequence[int]


def check_sources(model: FloatModel, sources: Sequence[Ids]) -> None:
    """Raises ValueError for an id outside the vocabulary, and for a source without its frame.

    The sources of a decoder alone must be empty.
    """
    generation = model.generation
    check_ids("source", sources, generation.source_vocabulary)
    frames = generation.frames
    for i, source in enumerate(sources) if model.translates else ():
        if not source or not any(_framed(source, frame) for frame in frames):
            before, after = (list(ids) for ids in (generation.frame.before, generation.frame.after))
            raise ValueError(f"source {i} is not framed by {before} and {after}")


def _framed(source: Ids, frame: SourceFrame) -> bool:
    """Whether a source stands in a frame."""
    inner = source[len(frame.before) : len(source) - len(frame.after)]
    return list(source) == frame.around(inner)


def check_ids(what: str, sequences: Sequence[Ids], vocabulary: int) -> None:
    """Raises ValueError on an id outside the vocabulary."""
    for i, sequence in enumerate(sequences):
        if not all(0 <= token < vocabulary for token in sequence):
            raise ValueError(f"{what} {i}: a token id is outside 0..{vocabulary - 1}")
