"""Dynamic re-scaling: each row is shifted to 8 bits by its own largest element."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import (
    DATA_MAX,
    WIDE_MAX,
    bit_length,
    rounding_shift_right,
    saturate,
)
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Constant, Result, Rows
from int8ref.spec.trace import note

DATA_BITS = 7
MAX_EXPONENT = 9
"""Exponent of a row that contains -32768."""


class Rescale(Instruction, frozen=True):
    """(out, exponent) = rescale(x): int16 to int8, with one shift for each row."""

    x: Annotated[str, Rows("int16")]
    low: Annotated[int, Constant(-WIDE_MAX - 1, 0)]
    out: Annotated[str, Result("int8")]
    exponent: Annotated[str, Result("int8", 0)]


def rescale(
    x: npt.NDArray[np.int16], low: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Bring each row to 8 bits by its own shift.

        y[r, n]     = max(x[r, n], low)
        exponent[r] = max(bit_length(max(|y[r]|)) - 7, 0)
        out[r, n]   = saturate(rounding_shift_right(y[r, n], exponent[r]), -127, 127)       (A1)

    `x`: int16 [rows, n], n >= 1; `low` in [-32768, 0], where 0 is ReLU and -32768 is no limit; out:
    int8 [rows, n] in [-127, 127]; exponent: int8 [rows] in [0, 9].  Each element is rounded once,
    half up.  The scale of a row of out is the scale of x times 2^exponent[r].  `match_add` takes
    the exponent together with the matrix product of out.

    Raises `ValueError` (from NumPy) if x has no column.

    Source: Lin et al. 2020, Eq. 10.
    """
    y = np.maximum(x.astype(np.int64), low)
    note("y", y)
    exponent = np.maximum(bit_length(np.abs(y).max(axis=1, keepdims=True)) - DATA_BITS, 0)
    out = saturate(rounding_shift_right(y, exponent), -DATA_MAX, DATA_MAX)
    return out.astype(np.int8), exponent[:, 0].astype(np.int8)
