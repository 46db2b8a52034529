"""Sizes of the scratch memory of kernels, for the assembler and the kernels.

`kernels.gemm.scratch` has the sizes for matrix products.
"""

from __future__ import annotations

from int8ref.reference.attention import MAX_KEYS
from int8ref.spec.pair_sums import SPAN

SCORES_BYTES = 4 * MAX_KEYS
"""The scores, then the weights, of one row and head.  The sums of the values lie behind them."""


def attention_bytes(head_width: int) -> int:
    """For attention: the scores, and sums int32 [head_width]."""
    return SCORES_BYTES + 4 * head_width


def norm_bytes(width: int) -> int:
    """For a layer normalisation: the bias as int32 [width]."""
    return 4 * width


def pool_bytes(width: int) -> int:
    """For pooling: the sums of a sentence as int32 [width]."""
    return 4 * width


def unpacked_bytes(width: int) -> int:
    """For a row of a packed table: int8 [width], padded to whole steps."""
    return width + SPAN


def embed_bytes(width: int) -> int:
    """For an embedding: the row of a token, and behind it the row of its position."""
    return unpacked_bytes(width) + width
