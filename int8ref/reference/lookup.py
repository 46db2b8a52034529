"""Any unary function of int8 data, as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.spec.instruction import DType, Instruction, Result, Scope, Tensor, Value, ValueType


class Lookup(Instruction, frozen=True):
    """out = lookup(x)."""

    in_place = True

    x: Value
    table: Tensor
    out: Result

    def check(self, scope: Scope) -> None:
        x = scope.value(self.x, "int8")
        scope.require(x.width > 0, f"value {self.x!r} has no width")
        table = scope.tensor(self.table, "int8 int16", (256,))
        dtype: DType = "int8" if table.dtype.name == "int8" else "int16"
        scope.define(self.out, ValueType(x.domain, dtype, x.width))


def lookup(
    x: npt.NDArray[np.int8], table: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.integer[Any]]:
    """Apply a function of 256 values: sigmoid, GELU, swish, tanh.

        out[r, n] = table[x[r, n] + 128]

    `x`: int8 [rows, n]; `table`: int8 or int16 [256]; out: the table's dtype [rows, n].  Exact: the
    rounding was done when the table was made.
    """
    return table[x.astype(np.int64) + 128]
