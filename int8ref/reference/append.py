"""One more step in a history: the key/value cache of decoder self-attention."""

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
    """Append the row of this step to the history of each row.

        next_history[r, t, n]     = history[r, t, n]                  for t < steps
        next_history[r, steps, n] = x[r, column + n]

    `x`: int8 [rows, x_width]; `column` in [0, x_width - width]; `history`: int8 [rows, steps,
    width], with steps = 0 before the first token.  next_history: int8 [rows, steps + 1, width].
    Elements are copied, so that nothing is rounded.  Attention over a history is causal, because a
    history holds no later step.

    Raises `ValueError` (from NumPy) if x has another number of rows than history, or fewer than
    column + width columns.

    Source: Shazeer 2019, "Fast Transformer Decoding" (incremental multi-head attention).
    """
    width = history.shape[2]
    return np.concatenate([history, x[:, None, column : column + width]], axis=1)
