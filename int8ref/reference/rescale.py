"""Dynamic re-scaling: 8 bits of each row, shifted by what its own largest element needs."""

from __future__ import annotations

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

DATA_BITS = 7
MAX_EXPONENT = 9
"""That of a row with -32768 in it."""


class Rescale(Instruction, frozen=True):
    """(out, exponent) = rescale(x): int16 to int8, and a shift a row."""

    x: Annotated[str, Rows("int16")]
    low: Annotated[int, Constant(-WIDE_MAX - 1, 0)]
    out: Annotated[str, Result("int8")]
    exponent: Annotated[str, Result("int8", 0)]


def rescale(
    x: npt.NDArray[np.int16], low: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Bring each row to 8 bits by a shift of its own (Lin et al. 2020, Eq. 10).

        y[n]        = max(x[r, n], low)
        exponent[r] = max(bit_length(max(|y|)) - 7, 0)
        out[r, n]   = saturate8(rounding_shift_right(y[n], exponent[r]))

    `x`: int16 [rows, n]; low = 0 is ReLU, -32768 none; out: int8 [rows, n] in [-127, 127];
    exponent: int8 [rows] in [0, 9].  The scale of a row of out is that of x times 2^exponent[r],
    which goes with it to the sum that takes its products (`match_add`).
    """
    y = np.maximum(x.astype(np.int64), low)
    exponent = np.maximum(bit_length(np.abs(y).max(axis=1, keepdims=True)) - DATA_BITS, 0)
    out = saturate(rounding_shift_right(y, exponent), -DATA_MAX, DATA_MAX)
    return out.astype(np.int8), exponent[:, 0].astype(np.int8)
