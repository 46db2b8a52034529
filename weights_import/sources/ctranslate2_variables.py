"""The variables of a CTranslate2 model, each of which is asked for by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weights_import.errors import CheckpointError
from weights_import.sources.ctranslate2_file import Variable
from weights_import.tensors import Float32, Stored

STACKS = "encoder", "decoder"
MOST = 1 << 24
"""The largest whole number that a variable may tell: of heads, columns or layers."""


class Variables:
    """What a file holds; whatever nobody asks for is in `rest`."""

    def __init__(self, stored: Mapping[str, Variable]) -> None:
        self._stored = stored
        self._left = set(stored)
        self._widened: dict[int, Stored] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        """The names of all variables."""
        return iter(self._stored)

    def layers(self, stack: str) -> int:
        """How many layers a stack has."""
        prefix = f"{stack}/layer_"
        named = [name[len(prefix) :] for name in self._stored if name.startswith(prefix)]
        return len({number for number in (n.split("/")[0] for n in named) if number.isdigit()})

    def number(self, name: str, default: float) -> float:
        """A variable of one finite number; raises CheckpointError for another one."""
        if name not in self._stored:
            return default
        self._left.discard(name)
        stored = self._stored[name]
        value = float(stored.read().ravel()[0]) if stored.size == 1 else math.nan
        if not math.isfinite(value):
            raise CheckpointError(f"{name}: not one finite number, but {list(stored.shape)}")
        return value

    def whole(self, name: str, default: int, least: int = 1) -> int:
        """A variable of one whole number >= `least`; raises CheckpointError for another one."""
        value = self.number(name, default)
        if value != int(value) or not least <= value <= MOST:
            raise CheckpointError(f"{name} is {value:g}, expected a whole number >= {least}")
        return int(value)

    def shared(self, name: str, default: float) -> float:
        """A number that encoder and decoder have alike, or that older files have once; raises
        CheckpointError where they differ."""
        once = self.number(name, default)
        found = [self.number(f"{stack}/{name}", once) for stack in STACKS]
        if found[0] != found[1]:
            raise CheckpointError(f"{name} is {found[0]:g} in the encoder, {found[1]:g} behind it")
        return found[0]

    def is_number(self, name: str) -> bool:
        """Whether a variable is a single number."""
        return name in self._stored and self._stored[name].size == 1

    def is_flag(self, name: str) -> bool:
        """Whether a variable is a truth value, which are int8."""
        return name in self._stored and self._stored[name].kind == np.int8

    def tensor(self, name: str) -> Stored | None:
        """A tensor, the same one for all its aliases, or None where there is none.

        Integers are divided by their scale, one for all or one a row, whenever it is read.  Raises
        CheckpointError for a scale that is none of these, and for a tensor that is a number.
        """
        if name not in self._stored:
            return None
        self._left -= {name, f"{name}_scale"}
        stored = self._stored[name]
        if not stored.shape:
            raise CheckpointError(f"{name}: a number, expected a tensor")
        if id(stored) not in self._widened:
            self._widened[id(stored)] = self._wide(name, stored)
        return self._widened[id(stored)]

    def _wide(self, name: str, stored: Variable) -> Stored:
        if stored.floats:
            return Stored(name, stored.shape, stored.read, bfloat16=stored.bfloat16)
        scale, rows = self._stored.get(f"{name}_scale"), stored.shape[0]
        fits = scale is not None and scale.kind == np.float32 and scale.size in (1, rows)
        if scale is None or not fits or len(stored.shape) != 2 or not np.all(scale.read() > 0):
            raise CheckpointError(f"{name}: {stored.kind} without a positive scale, or one a row")
        return Stored(name, stored.shape, lambda: divided(stored, scale))

    def rest(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the variables that nobody has asked for."""
        return {name: self._stored[name].shape for name in sorted(self._left)}


def divided(stored: Variable, scale: Variable) -> Float32:
    """Integers over their scale; a number that is not finite is refused with all that is wrong."""
    with np.errstate(over="ignore"):
        wide: NDArray[Any] = stored.read() / scale.read().reshape(-1, 1)
    return wide
