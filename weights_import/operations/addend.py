"""Addends of the scores of attention, by the distance from a row to a key.

Relative positions (Raffel et al. 2020, section 2.1) and linear biases (Press et al. 2022) have this
form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.program.sizes import USUAL_STEPS
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.scale_propagation import fixed_point
from weights_import.tensors import Float32, Float64

LEAST_UNIT = 2.0**-28
"""The least unit of a score, as a share of the largest addend."""


@dataclass(frozen=True)
class Addend:
    """The addends of one attention.

    `table` names a tensor [heads, before + 1 + after].  Its column `before` is for the row's own
    key, and the next column is for the next key.  The first and the last column are also for all
    keys that are farther away.
    """

    table: str
    before: int
    after: int

    @property
    def distances(self) -> int:
        """The columns of the table."""
        return self.before + 1 + self.after

    def least_score(self, tensors: Mapping[str, Float32], positions: int) -> float:
        """The least unit of a score, because the addends must fit in 32 bits of it.

        The addends of keys that lie within `positions`, or within USUAL_STEPS, count.
        """
        counted, _ = self._within(tensors, max(positions, USUAL_STEPS))
        return float(np.abs(counted).max()) * LEAST_UNIT

    def _within(self, tensors: Mapping[str, Float32], positions: int) -> tuple[Float32, int]:
        """The table and `before` without distances of more than `positions` - 1."""
        first = max(self.before - (positions - 1), 0)
        table: Float32 = tensors[self.table][:, first : self.before + positions]
        return table, self.before - first

    def operands(self, emitter: Emitter, name: str, unit: Float64) -> dict[str, Any]:
        """The operands of `attention_softmax`, for the unit of a score of each head."""
        found, nearest = self._within(emitter.model.tensors, emitter.model.positions)
        exact = found.astype(np.float64) / unit[:, None]
        table, before = shortest(fixed_point(exact, 0), nearest, emitter.model.positions - 1)
        return {
            "addend": emitter.tensor(f"{name}.addend", table),
            "before": before,
            "after": table.shape[1] - 1 - before,
        }


def shortest(table: NDArray[np.int32], before: int, farthest: int) -> tuple[NDArray[np.int32], int]:
    """The table [heads, distances] and `before` without the columns that no row needs.

    No key is farther away than `farthest`.  A column at an end that equals the next column is not
    needed, because the next column is then for all these keys.
    """
    first, last = max(before - farthest, 0), min(before + farthest, table.shape[1] - 1)
    while first < before and np.array_equal(table[:, first], table[:, first + 1]):
        first += 1
    while last > before and np.array_equal(table[:, last], table[:, last - 1]):
        last -= 1
    return np.ascontiguousarray(table[:, first : last + 1]), before - first
