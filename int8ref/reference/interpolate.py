"""Any smooth unary function of 16-bit data, as a table of values between which lines are drawn."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import rounding_shift_right
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Result, Rows, Tensor

STEP_BITS = 7
"""An entry of the table stands for every 2^7th integer."""
ENTRIES = (1 << 16 - STEP_BITS) + 1


class Interpolate(Instruction, frozen=True):
    """out = interpolate(x)."""

    in_place = True

    x: Annotated[str, Rows("int16")]
    table: Annotated[str, Tensor("int16", (ENTRIES,))]
    out: Annotated[str, Result("int16")]


def interpolate(x: npt.NDArray[np.int16], table: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Apply a function that is linear between 513 given values.

    With i = (x + 2^15) >> 7 and f = x & 127, the place of x and its distance from there:

        out[r, n] = rounding_shift_right(table[i] * 128 + (table[i + 1] - table[i]) * f, 7)     (A1)

    `x`: int16 [rows, n]; `table`: int16 [513], table[i] for x = 128 i - 2^15; out: int16 [rows, n].
    The sum fits in int32 and is rounded once, to between both values.  Of a function whose second
    derivative is at most c, over a range of x of width w, lines miss at most c (w / 512)^2 / 8.
    """
    place = (x.astype(np.int64) + (1 << 15)) >> STEP_BITS
    distance = x.astype(np.int64) & ((1 << STEP_BITS) - 1)
    low, high = table[place].astype(np.int64), table[place + 1].astype(np.int64)
    total = (low << STEP_BITS) + (high - low) * distance
    return rounding_shift_right(total, STEP_BITS).astype(np.int16)
