"""Index of the largest logit."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Result, Rows


class Argmax(Instruction, frozen=True):
    """out = argmax(x)."""

    x: Annotated[str, Rows("int32")]
    out: Annotated[str, Result("int32", 0)]


def argmax(x: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Index of the largest element of each row.

        out[r] = the lowest n with x[r, n] = max(x[r])

    `x`: int32 [rows, n], n >= 1; out: int32 [rows] in [0, n).  Nothing is rounded.

    Raises `ValueError` (from NumPy) if x has no column.
    """
    best: npt.NDArray[np.int32] = np.argmax(x, axis=1).astype(np.int32)
    return best
