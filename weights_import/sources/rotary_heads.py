"""Heads of attention whose queries and keys positions turn, and the angles (Su et al. 2021)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from weights_import.errors import CheckpointError
from weights_import.operations.embedding import powers
from weights_import.operations.heads import Heads


@lru_cache(maxsize=4)
def frequencies(base: float, columns: int) -> tuple[float, ...]:
    """The angle, in radians, that a position turns pair i by: base^(-2 i / columns).

    The pairs make up the `columns` of a head that turn.  An odd number of columns counts one more.
    """
    exponents = np.arange((columns + 1) // 2) * -2 / max(columns, 1)
    return tuple(powers(base, exponents).tolist())


def heads_of(count: int, key_heads: int, size: int, rotary: tuple[float, ...]) -> Heads:
    """The heads; raises CheckpointError for pairs that they have not."""
    if 2 * len(rotary) > size:
        raise CheckpointError(f"rotary has {len(rotary)} pairs of columns in heads of {size}")
    return Heads(count, size, key_heads, rotary)
