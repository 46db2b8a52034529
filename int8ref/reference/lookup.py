"""Any function of one int8 number, as a table."""

from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, Result, Rows, Sizes, Tensor, size
from int8ref.spec.scope import Scope

MAX_BLOCKS = 64


class Lookup(Instruction, frozen=True, kw_only=True):
    """out = lookup(x)."""

    in_place = True

    x: Annotated[str, Rows("int8")]
    table: Annotated[str, Tensor("int8 int16", (size("entries"),))]
    blocks: Annotated[int, Constant(1, MAX_BLOCKS)] | msgspec.UnsetType = msgspec.UNSET
    out: Annotated[str, Result("int8 int16", like="table")]

    @property
    def entries(self) -> int:
        """Number of entries of the table."""
        return 256 * (self.blocks or 1)

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        width, blocks = sizes.of(WIDTH), self.blocks or 1
        scope.require(width % blocks == 0, f"{width} channels in {blocks} blocks")


def lookup(
    x: npt.NDArray[np.int8], table: npt.NDArray[np.integer[Any]], blocks: int | None = None
) -> npt.NDArray[np.integer[Any]]:
    """Apply a function of 256 values, such as sigmoid, GELU, swish or tanh.

        b         = floor(c * blocks / width)                              (the block of channel c)
        out[r, c] = table[256 * b + x[r, c] + 128]

    The channels are `blocks` blocks of equal size, and each block has its own table, because the
    scales of the blocks may differ.  One block is the default.

        x       int8 [rows, width], all 256 values
        table   int8 or int16 [256 * blocks], all values
        blocks  1 to 64, a divisor of width; None is 1
        out     [rows, width], with the dtype of the table

    The operation rounds nothing, because the entries of the table are already rounded.

    Raises no error, because every int8 has an entry.

    Source: `LUTLookup` of TensorFlow Lite for int8 (tensorflow/lite/kernels/internal/common.h).
    There the index is x as u8; here it is x + 128.
    """
    each = x.shape[1] // (blocks or 1)
    first = np.arange(x.shape[1]) // max(each, 1) * 256
    found: npt.NDArray[np.integer[Any]] = table[x.astype(np.int64) + 128 + first]
    return found
