"""The input arrays of a Program: for a source, and for a step of the decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.errors import OutOfRangeError, WrongValueError
from int8ref.program.program import Program
from int8ref.spec.operands import OFFSETS

Batch = Sequence[Sequence[int]]


Values = dict[str, npt.NDArray[Any]]


Observer = Callable[[str, npt.NDArray[Any]], None]
"""Receives the name and the array of every computed value.  An observer changes no result."""


def ids_of_rows(ids: Sequence[int] | npt.NDArray[Any], rows: int) -> npt.NDArray[np.int32]:
    """The token ids of a step, int32, one for each row.  Raises ValueError for anything else."""
    found = np.asarray(ids)
    if found.shape != (rows,) or found.dtype.kind != "i":
        raise WrongValueError(f"{found.dtype} of shape {found.shape} as token ids of {rows} rows")
    clipped = np.clip(found, -(2**31), 2**31 - 1)  # a cast alone turns 2^32 into 0
    return np.asarray(clipped, np.int32)


def places_of_rows(places: npt.NDArray[Any], rows: int) -> npt.NDArray[np.int64]:
    """The row numbers of a selection, integers in [0, rows).  Raises IndexError for anything
    else."""
    found = np.asarray(places)
    if found.ndim != 1 or (found.size and found.dtype.kind != "i"):
        raise OutOfRangeError(f"{found.dtype} of shape {found.shape} as numbers of rows")
    if found.size and (found.min() < 0 or found.max() >= rows):
        raise OutOfRangeError(f"numbers of rows must lie in [0, {rows})")
    return found.astype(np.int64, copy=False)


def target_inputs(ids: npt.NDArray[np.int32], position: int, sentence: npt.NDArray[Any]) -> Values:
    """The inputs of a decoder step: the previous token, the position and the sentence of each
    row."""
    return {
        "target.ids": ids,
        "target.positions": np.full(len(ids), position, np.int32),
        "target.sentence": sentence,
    }


def first_states(program: Program, rows: int) -> Values:
    """The states before the first step: zeros, and histories without a step."""
    shapes = {
        state.value: (rows, 0, state.width) if state.domain == "history" else (rows, state.width)
        for state in program.states
    }
    return {s.value: np.zeros(shapes[s.value], s.dtype) for s in program.states}


def source_inputs(batch: Batch, taken: bool) -> Values:
    """The inputs of the encoder: the sentences one after the other, without padding.

    Raises ValueError if the batch is empty, or if a sentence is empty.  If the Program takes no
    source (`taken` is false), raises ValueError if a sentence has tokens.
    """
    lengths = [len(sentence) for sentence in batch]
    if not lengths or (taken and 0 in lengths):
        raise WrongValueError("a batch needs sentences, and a sentence tokens")
    if not taken and any(lengths):
        raise WrongValueError("the program takes no source: its sentences must be empty")
    offsets = np.zeros(len(batch) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    sentence = np.repeat(np.arange(len(batch), dtype=np.int32), lengths)
    return {
        "source.ids": np.array(list(chain.from_iterable(batch)), np.int32),
        "source.positions": np.arange(len(sentence), dtype=np.int32) - offsets[sentence],
        "source.sentence": sentence,
        OFFSETS: offsets,
    }
