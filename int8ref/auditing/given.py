"""The operands of an instruction, with their ranges, and the registers that a proof finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.auditing.intervals import Interval
from int8ref.spec.scope import Tensors, ValueType

Int64 = npt.NDArray[np.int64]


class Given:
    """One instruction with the ranges of its values.

    instruction  the instruction
    keys         the most keys that a row of an attention sees, and the most rows of a pool
    registers    name -> range, in the order of `note`; the names are the names of `spec.trace`
    """

    def __init__(
        self,
        instruction: Any,
        ranges: Mapping[str, Interval],
        types: Mapping[str, ValueType],
        tensors: Tensors,
        keys: int,
    ) -> None:
        self.instruction, self.keys = instruction, keys
        self.registers: dict[str, Interval] = {}
        self._ranges, self._types, self._tensors = ranges, types, tensors

    def value(self, field: str) -> Interval:
        """The range of the value in a field."""
        return self._ranges[getattr(self.instruction, field)]

    def width(self, field: str) -> int:
        """The number of channels of the value in a field."""
        return self._types[getattr(self.instruction, field)].width

    def dtype(self, field: str) -> Interval:
        """The range of the type of the value in a field."""
        limits = np.iinfo(self._types[getattr(self.instruction, field)].dtype)
        return Interval.of(limits.min, limits.max)

    def plain(self, field: str) -> npt.NDArray[Any]:
        """The tensor in a field, as it is stored."""
        return self._tensors[getattr(self.instruction, field)]

    def tensor(self, field: str) -> Int64:
        """The tensor in a field, as int64."""
        return self.plain(field).astype(np.int64)

    def has(self, field: str) -> bool:
        """Whether an optional field has an operand."""
        return isinstance(getattr(self.instruction, field), str | int)

    def note(self, name: str, found: Interval) -> Interval:
        """Store the range of a register, and return it."""
        self.registers[name] = found
        return found

    def requantized(self, acc: Interval, low: int, high: int) -> Interval:
        """The range of requantize(acc, multiplier, shift, low, high), with its registers."""
        multiplier = self.tensor("multiplier") if self.has("multiplier") else 1
        product = self.note("product", acc * multiplier)
        return self.note("rounded", product.shifted(self.tensor("shift"))).clamped(low, high)


def reciprocal_of(given: Given, x: Interval) -> tuple[Interval, Interval]:
    """The ranges of (r, k) = reciprocal(x) for x of at least 1, with their registers."""
    least, most = x.ends
    k = Interval.of(least.bit_length() + 29, most.bit_length() + 29)
    r = Interval.of(1 << 29, 1 << 30)
    if least == most:
        r = Interval.of((1 << int(k.low)) // least)
    return given.note("r", r), given.note("k", k)


Results = dict[str, Interval]
"""The ranges of the results, by field."""
