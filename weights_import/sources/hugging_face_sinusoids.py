"""Positions that are sinusoids, as transformers makes them for Marian and Pegasus."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weights_import.arithmetic.functions import cos, sin
from weights_import.operations.embedding import powers
from weights_import.sources.hugging_face import POSITIONS
from weights_import.sources.lookup import Own
from weights_import.tensors import Float32, Stored

CLOSE = 1e-2
"""The largest difference of a stored table from sinusoids: more than 16 bits round off."""


def positions(stored: Mapping[str, Stored], length: int, width: int) -> dict[str, Own]:
    """The tables of positions by their canonical names.

    A table is the stored table if it differs from sinusoids, and sinusoids otherwise.  The target
    has its own table only if it is another one.
    """
    made = Stored.of(sinusoids(length, width), "positions")
    source, target = (_stored_or_made(stored.get(name), made) for name in POSITIONS)
    tables: dict[str, Own] = {"positions": source}
    return tables if target is source else tables | {"target_positions": target}


def _stored_or_made(table: Stored | None, made: Stored) -> Stored:
    if table is None or (table.shape == made.shape and _near(table.read(), made.read())):
        return made
    return table


def _near(a: Float32, b: Float32) -> bool:
    return bool(np.all(np.abs(a - b) <= CLOSE))


def sinusoids(length: int, width: int) -> Float32:
    """The sine of every frequency, then the cosine of every frequency: [length, width].

    frequency_i = 10000^(-2 i / width), i = 0 .. width/2 - 1.  This is the table of transformers,
    which differs a little from the table of Marian.
    """
    frequencies = powers(10000.0, -2 * np.arange((width + 1) // 2) / width)
    angles = np.arange(length)[:, None] * frequencies
    table = np.concatenate([sin(angles), cos(angles)[:, : width // 2]], axis=1)
    return table.astype(np.float32)
