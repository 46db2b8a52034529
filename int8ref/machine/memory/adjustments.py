"""The records of the adjustments of a call."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.abi.adjustments import ADJUSTMENT, STAGE
from int8ref.machine.memory.aligned import Memory
from int8ref.reference.log_softmax import LogSoftmax
from int8ref.search.adjustments import Adjustments
from int8ref.search.continuations import Tree
from int8ref.search.logits import amount


def stage(memory: Memory, vocabulary: int, steps: int, rows: int) -> int:
    """Return the address of a record with memory for one row."""
    record, address = memory.array((1,), STAGE)
    shapes: dict[str, tuple[int, npt.DTypeLike]] = {
        "tokens": (vocabulary, np.int32),
        "logits": (vocabulary, np.int32),
        "marks": (vocabulary, np.int32),
        "history": (max(1, steps), np.int32),
        "row_nodes": (rows, np.int64),
    }
    for name, (size, kind) in shapes.items():
        array, record[name] = memory.array((size,), kind)
        if name == "marks":
            array[...] = 0
    return address


def records(
    memory: Memory,
    adjustments: Sequence[Adjustments | None],
    softmax: LogSoftmax,
    ends: Collection[int],
    vocabulary: int,
) -> int:
    """Return the address of the records of all sentences.  Equal adjustments share their arrays."""
    found, address = none(memory, len(adjustments))
    written: dict[int, Any] = {}
    for place, each in enumerate(adjustments):
        if each is None:
            continue
        if id(each) not in written:
            written[id(each)] = record(memory, each, softmax, ends, vocabulary)
        found[place] = written[id(each)]
    return address


def none(memory: Memory, sentences: int) -> tuple[npt.NDArray[Any], int]:
    """Return records of no adjustments, and their address."""
    found, address = memory.array((sentences,), ADJUSTMENT)
    found[...] = np.zeros((), ADJUSTMENT)
    return found, address


class _Arrays:
    """Copies arrays to the memory of a call."""

    def __init__(self, memory: Memory, vocabulary: int) -> None:
        self._memory, self._vocabulary = memory, vocabulary

    def dense(self, values: dict[int, int], kind: npt.DTypeLike) -> int:
        """Return the address of a number for each token; 0 without values."""
        if not values:
            return 0
        array, address = self._memory.array((self._vocabulary,), kind)
        array[...] = 0
        array[[*values]] = [*values.values()]
        return address

    def copied(self, values: npt.NDArray[np.int32]) -> int:
        """Return the address of a copy."""
        array, address = self._memory.array(values.shape, np.int32)
        array[...] = values
        return address


def record(
    memory: Memory,
    adjusted: Adjustments,
    softmax: LogSoftmax,
    ends: Collection[int],
    vocabulary: int,
) -> Any:
    """Return the record of adjustments, whose arrays lie in the memory."""
    arrays = _Arrays(memory, vocabulary)
    found = np.zeros((), ADJUSTMENT)
    found["active"] = 1
    found["repetition"] = adjusted.repetition
    found["presence"] = amount(adjusted.presence, softmax)
    found["frequency"] = amount(adjusted.frequency, softmax)
    bias = {token: amount(each, softmax) for token, each in adjusted.bias}
    found["bias"] = arrays.dense(bias, np.int32)
    found["suppressed"] = arrays.dense(dict.fromkeys(adjusted.suppressed, 1), np.int8)
    found["min_length"] = adjusted.min_length
    found["no_repeat"] = adjusted.no_repeat
    if adjusted.continuations:
        tree = Tree(adjusted.continuations, ends)
        for name in ("firsts", "tokens", "nodes"):
            found[name] = arrays.copied(getattr(tree, name))
    return found
