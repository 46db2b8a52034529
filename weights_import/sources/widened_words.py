"""Tables of words that are narrower than the stream, and the matrices that widen them.

A model reads row i of a table E as W E[i], and its logits are E (V x).  Here the tables are E W^T
and E V, which are as wide as the stream, so that no operation stands between them and the stream.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from weights_import.arithmetic.product import packed, product
from weights_import.errors import CheckpointError
from weights_import.sources.stored_rows import transposed
from weights_import.tensors import Float32, Stored

MOST = 16
"""The largest ratio of the widths, because the tables are not in the file, but need memory."""


def widened(words: Stored, matrix: Stored) -> Stored:
    """E W^T of words E [count, narrow] and a matrix W [wide, narrow].

    Raises CheckpointError where their columns differ, or where W has far more rows than columns.
    """
    if len(words.shape) != 2 or len(matrix.shape) != 2 or words.shape[1] != matrix.shape[1]:
        raise CheckpointError(
            f"wrong shape {matrix.name} {list(matrix.shape)} for words {list(words.shape)}"
        )
    wide = matrix.shape[0]
    if wide > MOST * matrix.shape[1]:
        raise CheckpointError(
            f"{matrix.name}: {wide} rows are more than {MOST} times its {matrix.shape[1]} columns"
        )

    @cache
    def read() -> Float32:
        with np.errstate(all="ignore"):
            return product(words.read(), packed(matrix.read()), wide)

    return Stored(words.name, (words.shape[0], wide), read)


def widened_behind(words: Stored, matrix: Stored) -> Stored:
    """E V of words E [count, narrow] and a matrix V [narrow, wide]; raises likewise."""
    return widened(words, transposed(matrix))
