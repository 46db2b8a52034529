"""Any function of one int8 number, as a table."""

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Result, Rows, Tensor


class Lookup(Instruction, frozen=True):
    """out = lookup(x)."""

    in_place = True

    x: Annotated[str, Rows("int8")]
    table: Annotated[str, Tensor("int8 int16", (256,))]
    out: Annotated[str, Result("int8 int16", like="table")]


def lookup(
    x: npt.NDArray[np.int8], table: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.integer[Any]]:
    """Apply a function of 256 values, such as sigmoid, GELU, swish or tanh.

        out[r, n] = table[x[r, n] + 128]

    `x`: int8 [rows, n], all 256 values; `table`: int8 or int16 [256], all values; out: [rows, n],
    with the dtype of the table.  The operation rounds nothing, because the entries of the table are
    already rounded.

    Raises no error, because every int8 has an entry.

    Source: `LUTLookup` of TensorFlow Lite for int8 (tensorflow/lite/kernels/internal/common.h).
    There the index is x as u8; here it is x + 128.
    """
    return table[x.astype(np.int64) + 128]
