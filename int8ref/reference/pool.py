"""Pooling: one row for each sentence, from the rows of its tokens."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import DATA_MAX, WIDE_MAX, require_range, saturate
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, Offsets, PerChannel, Result, Rows, Tensor, narrow
from int8ref.spec.scope import Tensors, ValueType
from int8ref.spec.trace import note

MEAN, FIRST, LAST = range(3)
"""The values of `rows`."""
MAX_SHIFT = 40
MAX_ROWS = 1024
"""Largest number of rows of a sentence."""


class Pool(Instruction, frozen=True, kw_only=True):
    """out = pool(x)."""

    x: Annotated[str, Rows("int8 int16", WIDTH, "source")]
    offsets: Annotated[str, Offsets()]
    rows: Annotated[int, Constant(MEAN, LAST)]
    multiplier: Annotated[str, PerChannel("int16", 0, WIDE_MAX)]
    shift: Annotated[str, Tensor("int8", (1,), 1, MAX_SHIFT)]
    limit: Annotated[int, Constant(1, WIDE_MAX)]
    out: Annotated[
        str,
        Result(
            "int8 int16", WIDTH, "sentence", chosen=lambda instruction: narrow(instruction.limit)
        ),
    ]

    def work(self, values: dict[str, ValueType], tensors: Tensors, keys: int) -> int:
        return MAX_ROWS * values[self.x].width


def pool(
    x: npt.NDArray[np.int8] | npt.NDArray[np.int16],
    offsets: npt.NDArray[np.int32],
    rows: int,
    multiplier: npt.NDArray[np.int16],
    shift: npt.NDArray[np.int8],
    limit: int,
) -> npt.NDArray[np.int8] | npt.NDArray[np.int16]:
    """Take the mean of the rows of each sentence, or its first row, or its last row.

    For sentence b, let R be the set of its pooled rows, and n the number of these rows.  `rows`
    chooses R from the rows offsets[b] to offsets[b + 1] - 1:

        rows = 0   all of these rows
        rows = 1   the first of these rows
        rows = 2   the last of these rows

        s[b, c]   = sum of x[r, c] over the rows r in R                                   (exact)
        out[b, c] = saturate(floor(s[b, c] * multiplier[c] / (n * 2^shift) + 1/2), -limit, limit)

    The operands and the result are

        x           int8 or int16 [rows, width]
        offsets     int32 [sentences + 1], rising; a sentence has 1 to 1024 rows
        multiplier  int16 [1] or [width], in [0, 2^15)
        shift       int8 [1], 1 to 40
        limit       1 to 32767
        out         [sentences, width] in [-limit, limit]; int8 for limit <= 127, else int16

    The sum, the product and the division are one exact fraction, which is rounded once, half up.
    multiplier[c] * 2^-shift is the scale of channel c of x divided by its scale in out.  The
    numerator is below 2^41, and the denominator is at most 2^51.

    Raises `OverflowError` if a sentence has no row or more than 1024 rows, or if `multiplier` or
    `shift` is outside its range.

    Source: Reimers and Gurevych 2019, section 3 (mean, and the row of the first token).
    """
    counts = require_range(np.diff(offsets), 1, MAX_ROWS, "pool: rows of a sentence")
    require_range(multiplier, 0, WIDE_MAX, "pool: multiplier")
    bits = int(require_range(shift, 1, MAX_SHIFT, "pool: shift")[0])
    first, last = offsets[:-1], offsets[1:]
    if rows == MEAN:
        sums = np.add.reduceat(x.astype(np.int64), first, axis=0) if len(x) else x.astype(np.int64)
    else:
        sums = x[first if rows == FIRST else last - 1].astype(np.int64)
        counts = np.ones_like(counts)
    note("s", sums)
    note("n", counts)
    whole = counts[:, np.newaxis] << bits
    mean = (2 * sums * multiplier + whole) // (2 * whole)
    out = saturate(mean, -limit, limit)
    return out.astype(np.int8) if limit <= DATA_MAX else out.astype(np.int16)
