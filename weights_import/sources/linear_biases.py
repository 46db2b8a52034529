"""Positions as linear biases of attention, ALiBi (Press et al. 2022, section 3).

The score of a key has the addend -slope * (the number of positions from the key to the row).  The
slopes of n heads are 2^(-8 i / n) for i = 1 to n, if n is a power of two.  Otherwise the heads have
the slopes of the next smaller power of two, and then every second slope of twice as many heads.
"""

from __future__ import annotations

import numpy as np

from int8ref.reference.attention import MAX_KEYS
from weights_import.arithmetic.functions import power
from weights_import.errors import CheckpointError
from weights_import.operations.addend import Addend
from weights_import.tensors import Float64, Stored

TABLE = "decoder.addend"
"""The canonical name of the addends, which all layers share."""
MOST_HEADS = 1 << 8
STEEPEST = 8.0
"""The sum of the exponents: the last slope is 2^-8."""


def addend() -> Addend:
    """The addend of every attention of a decoder."""
    return Addend(TABLE, MAX_KEYS - 1, 0)


def table(heads: int, factor: float = 1.0) -> Stored:
    """The table of `addend` [heads, distances], times a factor.

    Raises CheckpointError for more heads than are read.
    """
    if heads > MOST_HEADS:
        raise CheckpointError(f"{heads} heads with linear biases, at most {MOST_HEADS} are read")
    distances = np.arange(1 - MAX_KEYS, 1)
    found = np.outer(slopes(heads) * factor, distances)
    return Stored.of(found.astype(np.float32), TABLE)


def slopes(heads: int) -> Float64:
    """The slope of each head."""
    whole = 1 << (heads.bit_length() - 1)
    exponents = STEEPEST / whole * np.arange(1, whole + 1)
    between = STEEPEST / (2 * whole) * np.arange(1, 2 * whole, 2)
    every = np.concatenate([exponents, between])[:heads]
    return power(2.0, -every)
