"""A batch of token id lists: what a FloatModel takes, and how it is padded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weights_import.float_model import FloatModel

Ids = Sequence[int]
Mask = NDArray[np.bool_]


def pad(sequences: Sequence[Ids]) -> tuple[NDArray[np.int64], Mask]:
    """Ids [batch, longest] filled up with 0, and the mask of the real ones."""
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = np.concatenate([np.asarray(s, np.int64) for s in sequences])
    return ids, mask


def check_sources(model: FloatModel, sources: Sequence[Ids]) -> None:
    """Raises ValueError on an id outside the vocabulary, or a source without its frame or without
    any token; on one that is not empty, where the model takes none."""
    architecture = model.architecture
    check_ids("source", sources, architecture.source_vocabulary)
    before, after = map(list, (architecture.frame.before, architecture.frame.after))
    for i, source in enumerate(sources) if architecture.encoder_layers else ():
        inner = list(source)[len(before) : len(source) - len(after)]
        if not source or list(source) != [*before, *inner, *after]:
            raise ValueError(f"source {i} is not framed by {before} and {after}")


def check_ids(what: str, sequences: Sequence[Ids], vocabulary: int) -> None:
    """Raises ValueError on an id outside the vocabulary."""
    for i, sequence in enumerate(sequences):
        if not all(0 <= token < vocabulary for token in sequence):
            raise ValueError(f"{what} {i}: a token id is outside 0..{vocabulary - 1}")
