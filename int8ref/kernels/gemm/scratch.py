"""The scratch memory of a matrix product: a tile of sums, start values, and prepared rows.

These are plain functions, because the assembler calls them too.  `driver` compiles the functions
that it needs.
"""

from __future__ import annotations

from int8ref.kernels.gemm.layout import DEPTH, PANEL
from int8ref.kernels.gemm.quads import raised_pitch
from int8ref.kernels.gemm.target import TARGET

TILE_ROWS = TARGET.block_rows
TILE_BYTES = TILE_ROWS * PANEL * 4
START_BYTES = PANEL * 4  # start values of a panel; there is room for two panels
ALIGNMENT = 64
BLOCK_BYTES = 384 * 1024  # prepared rows, which stay in the L2 cache while all panels are read
OPERAND_BYTES = TARGET.operand_bytes


def row_pitch(depth: int) -> int:
    """Bytes from one prepared row to the next: 64 more than the row holds.

    Without the 64 bytes, rows of a K that is a power of two would share the same cache sets.
    """
    return (depth + DEPTH - 1) // DEPTH * DEPTH * OPERAND_BYTES + 64


def block_rows(rows: int, pitch: int) -> int:
    """Number of rows of x that are prepared at once."""
    return min(rows, max(TILE_ROWS, BLOCK_BYTES // pitch // TILE_ROWS * TILE_ROWS))


def workspace_bytes(rows: int, depth: int) -> int:
    """Bytes of scratch memory for every product of at most `rows` rows and `depth` inputs.

    A block of rows takes at most BLOCK_BYTES, or one tile if that is more.  A product with fewer
    inputs may come nearer to BLOCK_BYTES, because a block is a whole number of tiles.
    """
    pitch = max(row_pitch(depth), raised_pitch(depth))
    prepared = min(rows * pitch, max(TILE_ROWS * pitch, BLOCK_BYTES))
    return ALIGNMENT + TILE_BYTES + 2 * START_BYTES + prepared
