"""What a text shows: the values of registers and results in a run, beside the proved ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.golden.vectors import Names, Vectors, intermediate_values
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import Tensors

Place = tuple[str, int]
"""(encoder, decoder or search; number of the instruction)."""


class Range:
    """The least and the greatest value so far."""

    def __init__(self) -> None:
        self.low: int | None = None
        self.high: int | None = None

    def add(self, array: npt.NDArray[Any]) -> None:
        """Widen the range by an array."""
        if array.size:
            low, high = int(array.min()), int(array.max())
            self.low = low if self.low is None else min(self.low, low)
            self.high = high if self.high is None else max(self.high, high)

    @property
    def ends(self) -> tuple[int, int] | None:
        """The least and the greatest value, or None without a value."""
        return None if self.low is None or self.high is None else (self.low, self.high)


class Ends:
    """How many elements of a result are the least and the greatest number that it can hold."""

    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high
        self.total = self.at_low = self.at_high = 0

    def add(self, array: npt.NDArray[Any]) -> None:
        """Count the elements of an array."""
        self.total += array.size
        self.at_low += int((array == self._low).sum())
        self.at_high += int((array == self._high).sum())


class Watch(Vectors):
    """Takes the records of `translation.recording.record`, and keeps ranges instead of arrays."""

    def __init__(self, places: Mapping[str, Place], ends: Mapping[str, tuple[int, int]]) -> None:
        """`places`: name of a first result -> place of its instruction.

        `ends`: name of a result -> the ends where it saturates.
        """
        super().__init__()
        self._places = places
        self.rows: dict[Place, int] = {}
        self.registers: dict[Place, dict[str, Range]] = {}
        self.ends = {name: Ends(*pair) for name, pair in ends.items()}

    def add(
        self,
        instruction: Instruction,
        told: dict[str, Any],
        values: Mapping[str, npt.NDArray[Any]],
        tensors: Tensors,
        names: Names,
    ) -> None:
        results = instruction.names("result")
        place = self._places.get(results[0])
        if place is None:
            return
        self.rows[place] = self.rows.get(place, 0) + len(values[results[0]])
        kept = self.registers.setdefault(place, {})
        for name, array in intermediate_values(instruction, values, tensors).items():
            kept.setdefault(name, Range()).add(array)
        for name in results:
            if name in self.ends:
                self.ends[name].add(np.asarray(values[name]))
