"""A step more in a history: the key/value cache of decoder self-attention."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, Result, Rows, size


class Append(Instruction, frozen=True):
    """next_history = append(x, history)."""

    in_place = True

    x: Annotated[str, Rows("int8", None, "target")]
    column: Annotated[int, Constant(0, size("x.width") - size("history.width"))]
    history: Annotated[str, Rows("int8", WIDTH, "history")]
    next_history: Annotated[str, Result("int8", WIDTH, "history")]


def append(
    x: npt.NDArray[np.int8], column: int, history: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """Put this step's row behind those of the steps before.

        next_history[r, t] = history[r, t]                            for t < steps
        next_history[r, steps, n] = x[r, column + n]

    `x`: int8 [rows, any]; `history`: int8 [rows, steps, width], steps = 0 at first; next_history:
    int8 [rows, steps + 1, width].  Attention of a row over its history is causal by construction:
    no later step is there to be seen.
    """
    width = history.shape[2]
    return np.concatenate([history, x[:, None, column : column + width]], axis=1)
