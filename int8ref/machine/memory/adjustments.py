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
    found, address = memory.array((len(adjustments),), ADJUSTMENT)
    written: dict[int, Any] = {}
    for place, each in enumerate(adjustments):
        if each is None:
            found[place] = np.zeros((), ADJUSTMENT)
            continue
        if id(each) not in written:
            written[id(each)] = _record(_Arrays(memory, vocabulary), each, softmax, ends)
        found[place] = written[id(each)]
    return address


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


def _record(
    arrays: _Arrays, adjusted: Adjustments, softmax: LogSoftmax, ends: Collection[int]
) -> Any:
    record = np.zeros((), ADJUSTMENT)
    record["active"] = 1
    record["repetition"] = adjusted.repetition
    record["presence"] = amount(adjusted.presence, softmax)
    record["frequency"] = amount(adjusted.frequency, softmax)
    bias = {token: amount(each, softmax) for token, each in adjusted.bias}
    record["bias"] = arrays.dense(bias, np.int32)
    record["suppressed"] = arrays.dense(dict.fromkeys(adjusted.suppressed, 1), np.int8)
    record["min_length"] = adjusted.min_length
    record["no_repeat"] = adjusted.no_repeat
    if adjusted.continuations:
        tree = Tree(adjusted.continuations, ends)
        for name in ("firsts", "tokens", "nodes"):
            record[name] = arrays.copied(getattr(tree, name))
    return record
