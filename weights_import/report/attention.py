"""The weights of attention of one sentence, in floats and in integers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from int8ref.program.inputs import Values as IntegerValues
from int8ref.reference.append import Append
from int8ref.reference.attention import Attention as Instruction
from weights_import.operations.attention import Attention
from weights_import.report.floats import Part, Values
from weights_import.report.integers import Integers
from weights_import.report.units import Unit
from weights_import.tensors import Float64


@dataclass(frozen=True)
class Head:
    """The weights of one head: [rows, keys] in floats and in integers; every row has the sum 1."""

    name: str
    number: int
    over: str
    floats: Float64
    integers: Float64

    @property
    def distance(self) -> float:
        """The mean over the rows of half the sum of |float - integer|: 0 to 1."""
        return float(np.abs(self.floats - self.integers).sum(axis=1).mean() / 2)


def heads(part: Part, floats: Values, integers: Integers, found: IntegerValues) -> Iterator[Head]:
    """Every head of every attention, for a part of one sentence."""
    for unit in integers.twins.units:
        for operation in unit.operations:
            if not isinstance(operation, Attention):
                continue
            exact = _float_weights(operation, part, floats)
            whole = _integer_weights(unit, operation.over == "target", integers, found)
            for number, pair in enumerate(zip(exact, whole, strict=True)):
                yield Head(operation.out, number, operation.over, *pair)


def _float_weights(operation: Attention, part: Part, floats: Values) -> Float64:
    """The weights [heads, rows, keys]: the contexts of values that are 1 for one key each."""
    query, key = floats[operation.query], floats[operation.key]
    heads, size = operation.heads, operation.heads.size
    found = np.zeros((heads.count, len(query), len(key)))
    for first in range(0, len(key), size):
        width = min(size, len(key) - first)
        value = np.zeros((len(key), heads.key_heads, size), np.float32)
        value[first + np.arange(width), :, np.arange(width)] = 1
        inputs = {
            operation.query: query,
            operation.key: key,
            operation.value: value.reshape(len(key), -1),
        }
        context = part.run(operation, inputs).reshape(len(query), heads.count, size)
        found[:, :, first : first + width] = context[:, :, :width].swapaxes(0, 1)
    return found


def _integer_weights(unit: Unit, causal: bool, integers: Integers, found: IntegerValues) -> Float64:
    """The weights [heads, rows, keys] of the instruction of a unit, for the values of a run."""
    one: Any = next(i for i in unit.instructions if isinstance(i, Instruction))
    history = {i.next_history: i for i in unit.instructions if isinstance(i, Append)}
    columns, name = one.key_column, one.key
    if name in history:
        columns, name = columns + history[name].column, history[name].x
    query, key = (found[x].astype(np.int64) for x in (one.query, name))
    weigh, size = one.weigher(integers.tensors), one.head_width
    weights = np.zeros((one.heads, len(query), len(key)))
    for head in range(one.heads):
        first = one.query_column + head * size
        q = query[:, first : first + size]
        first = columns + head // (one.group or 1) * size
        k = key[:, first : first + size]
        if not causal:
            weights[head] = weigh(q, k, head, np.arange(len(query))).whole
            continue
        for row in range(len(query)):
            start = max(row + 1 - (one.window or row + 1), 0)
            seen = slice(start, row + 1)
            place = np.array([row - start])
            weights[head, row, seen] = weigh(q[row : row + 1], k[seen], head, place).whole[0]
    whole: Float64 = weights / weights.sum(axis=2, keepdims=True)
    return whole
