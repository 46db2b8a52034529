"""The ranges of token ids and positions that the tables of a Program allow.

The engine checks these ranges, because kernels index the tables without a check.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.errors import OutOfRangeError, WrongTypeError
from int8ref.program.program import Program, Tensors
from int8ref.program.sizes import Side, embedding_sizes, position_limits


class Bounds(msgspec.Struct, frozen=True):
    """Ranges: token ids lie in [-1, ids), positions in [0, positions)."""

    ids: int
    positions: int

    @classmethod
    def of(cls, program: Program, tensors: Tensors, side: Side, most: int) -> Bounds:
        """The bounds of the tables of one side, with at most `most` positions."""
        sizes = embedding_sizes(program, tensors, side)
        positions = min([most, *position_limits(program, tensors, side)])
        return cls(min(sizes, default=2**31), positions)

    def check_sources(self, batch: Sequence[Sequence[int]]) -> None:
        """Call `check_ids` and `check_length` for every sentence of a batch."""
        for sentence in batch:
            self.check_ids(sentence)
            self.check_length(len(sentence), "a source")

    def check_ids(self, ids: Sequence[int] | npt.NDArray[np.int32]) -> None:
        """Raises IndexError for a token id outside its range, and TypeError for ids that are not a
        sequence of integers."""
        try:
            found = np.asarray(ids)
        except ValueError:  # nested sequences of different lengths
            found = np.asarray(None)
        if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
            raise WrongTypeError(f"token ids are {reprlib.repr(ids)}, not integers")
        if found.size and (found.min() < -1 or found.max() >= self.ids):
            raise OutOfRangeError(f"token ids must lie in [-1, {self.ids})")

    def check_length(self, length: int, what: str = "a limit and a prefix") -> None:
        """Raises IndexError if the last of `length` tokens has no position; `what` names the tokens
        in the message."""
        if length > self.positions:
            told = f"{what} of {length} tokens"
            raise OutOfRangeError(f"{told}: positions must lie in [0, {self.positions})")
