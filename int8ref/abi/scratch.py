"""Sizes of the scratch memory of kernels, for the assembler and the kernels.

`kernels.gemm.scratch` has the sizes for matrix products.
"""

from __future__ import annotations

from int8ref.reference.attention import BLOCK_KEYS
from int8ref.spec.pair_sums import SPAN

SCORES_BYTES = 4 * (BLOCK_KEYS + 16)
"""The scores, then the weights, of a row and a head for one block of keys.  A kernel writes up to
eight numbers behind the last score."""


def head_bytes(head_width: int, blocks: int) -> int:
    """For a row and a head: two int64 and the sums, int32 [head_width], of each block."""
    return blocks * (16 + 4 * head_width)


def attention_bytes(head_width: int, group: int, keys: int) -> int:
    """For attention: the scores, and the sums of the heads of a group over at most `keys` keys."""
    return SCORES_BYTES + group * head_bytes(head_width, -(-keys // BLOCK_KEYS))


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
