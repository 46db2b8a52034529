"""What the integers of a lowered Program stand for: the float values, and their scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from int8ref.spec.instruction import Instruction
from weights_import.lowering.scaled import Scaled, wide_form
from weights_import.tensors import Float32


@dataclass(frozen=True)
class Meaning:
    """A value of the Program in floats.

    floats  the names of float values, which are its columns side by side
    scaled  the scale of its integers
    turned  whether rotary positions have turned the float values that are queries or keys
    """

    floats: tuple[str, ...]
    scaled: Scaled
    turned: bool = False

    def columns(self, values: Mapping[str, Float32]) -> Float32:
        """The columns of its float values."""
        return np.concatenate([values[name] for name in self.floats], axis=1)


@dataclass
class Meanings:
    """The values of a Program that have a float twin, and the operations behind its instructions.

    A value without a float twin is a step within one operation.

    of      name of a value of the Program -> its meaning
    owners  name of a value of the Program -> the float operation whose lowering emitted it
    """

    of: dict[str, Meaning] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def note(self, x: Scaled, *floats: str, turned: bool = False) -> None:
        """Note the float values of a value, and of its form in 16 bits."""
        self.of[x.name] = Meaning(floats, x, turned)
        if x.wide:
            self.of[x.wide] = Meaning(floats, wide_form(x), turned)

    def own(self, instruction: Instruction, operation: str) -> None:
        """Note the operation behind the results of an instruction."""
        self.owners |= dict.fromkeys(instruction.names("result"), operation)
