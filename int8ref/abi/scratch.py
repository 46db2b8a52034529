"""The scratch memory that kernels take: formulas that the assembler and the kernels share.

Of products: `kernels.gemm.scratch`.
"""

from __future__ import annotations

from int8ref.reference.attention import MAX_KEYS
from int8ref.spec.pair_sums import SPAN

SCORES_BYTES = 4 * MAX_KEYS
"""The scores, then the weights, of one row and head; the sums of its values lie behind."""


def attention_bytes(head_width: int) -> int:
    """Of an attention: scores, and sums int32 [head_width]."""
    return SCORES_BYTES + 4 * head_width


def norm_bytes(width: int) -> int:
    """Of a layer normalisation: the bias as int32 [width]."""
    return 4 * width


def unpacked_bytes(width: int) -> int:
    """Of a row of a packed table: int8 [width], filled up to whole steps."""
    return width + SPAN


def embed_bytes(width: int) -> int:
    """Of an embedding: the row of a token, and behind it the row of its position."""
    return unpacked_bytes(width) + width
