"""The variables of a CTranslate2 model, each of which is asked for by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weights_import.errors import CheckpointError
from weights_import.tensors import Float32, Stored

STACKS = "encoder", "decoder"

IGNORED = (
    "alibi_use_positive_positions",
    "alignment_heads",
    "alignment_layer",
    "embeddings_merge",
    "scale_alibi",
)
"""Ends of names of numbers that say nothing of what is computed here."""
NEUTRAL = {
    "alibi": (0, "positions as linear biases of attention"),
    "multi_query_attention": (0, "one head of keys and values"),
    "rms_norm": (0, "norms by the root of the mean square"),
}
"""Ends of names of numbers that must be these, and what others stand for."""


class Variables:
    """What a file holds; whatever nobody asks for is in `rest`."""

    def __init__(self, stored: Mapping[str, NDArray[Any]]) -> None:
        self._stored = stored
        self._left = set(stored)
        self._widened: dict[int, Stored] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._stored

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
        value = self._stored[name]
        if value.size != 1 or not np.isfinite(value).all():
            raise CheckpointError(f"{name}: not one finite number, but {list(value.shape)}")
        return float(value.ravel()[0])

    def shared(self, name: str, default: float) -> float:
        """A number that encoder and decoder have alike, or that older files have once; raises
        CheckpointError where they differ."""
        once = self.number(name, default)
        found = [self.number(f"{stack}/{name}", once) for stack in STACKS]
        if found[0] != found[1]:
            raise CheckpointError(f"{name} is {found[0]:g} in the encoder, {found[1]:g} behind it")
        return found[0]

    def is_flag(self, name: str) -> bool:
        """Whether a variable is a truth value, which are int8."""
        return name in self._stored and self._stored[name].dtype == np.int8

    def tensor(self, name: str) -> Stored | None:
        """A tensor, the same one for all its aliases, or None where there is none.

        Integers are divided by their scale, one for all or one a row, whenever it is read.  Raises
        CheckpointError for a scale that is none of these, and for a tensor that is a number.
        """
        if name not in self._stored:
            return None
        self._left -= {name, f"{name}_scale"}
        stored = self._stored[name]
        if not stored.ndim:
            raise CheckpointError(f"{name}: a number, expected a tensor")
        if id(stored) not in self._widened:
            self._widened[id(stored)] = self._wide(name, stored)
        return self._widened[id(stored)]

    def _wide(self, name: str, stored: NDArray[Any]) -> Stored:
        if stored.dtype == np.float32:
            return Stored.of(stored, name)
        scale = self._stored.get(f"{name}_scale")
        fits = scale is not None and scale.dtype == np.float32 and scale.size in (1, len(stored))
        if scale is None or not fits or stored.ndim != 2 or not np.all(scale > 0):
            raise CheckpointError(f"{name}: {stored.dtype} without a positive scale, or one a row")
        divisor = scale.reshape(-1, 1)
        return Stored(name, stored.shape, lambda: divided(stored, divisor))

    def rest(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what nobody has asked for, and what may change the computation.

        Raises CheckpointError for a number that stands for what is not read.
        """
        ends = {name: name.rpartition("/")[2] for name in self._left}
        found = {}
        for name, end in sorted(ends.items()):
            if end in NEUTRAL:
                value, meaning = NEUTRAL[end]
                if not np.all(self._stored[name] == value):
                    raise CheckpointError(f"{name}: {meaning}, which is not read")
            elif end not in IGNORED:
                found[name] = self._stored[name].shape
        return found


def divided(stored: NDArray[Any], scale: Float32) -> Float32:
    """Integers over their scale; a number that is not finite is refused with all that is wrong."""
    with np.errstate(over="ignore"):
        wide: NDArray[Any] = stored / scale
    return wide
