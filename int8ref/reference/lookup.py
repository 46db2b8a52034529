"""Any unary function of int8 data, as a table."""

from __future__ import annotations

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
    """Apply a function of 256 values: sigmoid, GELU, swish, tanh.

        out[r, n] = table[x[r, n] + 128]

    `x`: int8 [rows, n]; `table`: int8 or int16 [256]; out: the table's dtype [rows, n].  Exact: the
    rounding was done when the table was made.
    """
    return table[x.astype(np.int64) + 128]
