"""Any smooth function of one 16-bit number: a table, and straight lines between its values."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import rounding_shift_right
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Result, Rows, Tensor
from int8ref.spec.trace import note

STEP_BITS = 7
"""The table has one entry for every 2^7 integers."""
ENTRIES = (1 << 16 - STEP_BITS) + 1


class Interpolate(Instruction, frozen=True):
    """out = interpolate(x)."""

    in_place = True

    x: Annotated[str, Rows("int16")]
    table: Annotated[str, Tensor("int16", (ENTRIES,))]
    out: Annotated[str, Result("int16")]


def interpolate(x: npt.NDArray[np.int16], table: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Apply a function that is linear between 513 given values.

    With i = (x[r, n] + 2^15) >> 7 and f = x[r, n] & 127:

        out[r, n] = rounding_shift_right(table[i] * 128 + (table[i + 1] - table[i]) * f, 7)     (A1)

    `x`: int16 [rows, n], all values; `table`: int16 [513], all values; out: int16 [rows, n].
    table[i] is the value of the function at x = 128 i - 2^15.  The sum fits in int32.  It is
    rounded once, half up, and the result lies between table[i] and table[i + 1].

    Let x stand for a real range of width w, and let c be the largest magnitude of the second
    derivative of the function there.  Then the error of the lines is at most c (w / 512)^2 / 8.

    Raises no error, because i lies in [0, 511] for every x.

    Source: `LUTLookup` of TensorFlow Lite for int16 (tensorflow/lite/kernels/internal/common.h).
    There the difference of two entries wraps at int16; here it does not.
    """
    place = (x.astype(np.int64) + (1 << 15)) >> STEP_BITS
    distance = x.astype(np.int64) & ((1 << STEP_BITS) - 1)
    low, high = table[place].astype(np.int64), table[place + 1].astype(np.int64)
    total = (low << STEP_BITS) + (high - low) * distance
    note("total", total)
    return rounding_shift_right(total, STEP_BITS).astype(np.int16)
