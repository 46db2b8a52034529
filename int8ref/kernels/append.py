"""Compiled twin of `int8ref.reference.append`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.compile import kernel
from int8ref.kernels.views import address_of, array, matrix, word
from int8ref.machine.frame import (
    CAPACITY,
    HISTORY,
    MAX_STEPS,
    ROWS,
    TARGET,
    WIDTH,
    operands_at,
)
from int8ref.reference.append import Append

AT = operands_at(Append)
X, COLUMN, NEXT_HISTORY = (AT[f] for f in ("x", "column", "next_history"))


@kernel
def append(x, column, history, next_history):
    """A copy of the history and the row behind it."""
    steps = history.shape[1]
    for r in range(history.shape[0]):
        for t in range(steps):
            for i in range(history.shape[2]):
                next_history[r, t, i] = history[r, t, i]
    _write(x, column, next_history, steps)


@kernel
def _write(x, column, history, t):
    """history[r, t] = x[r, column:]."""
    for r in range(x.shape[0]):
        for i in range(history.shape[2]):
            history[r, t, i] = x[r, column + i]


@kernel
def step(frame, code):
    """Run an append instruction: a history and its successor share their place."""
    width = word(code, NEXT_HISTORY + WIDTH)
    shape = (word(frame, TARGET + CAPACITY), word(frame, MAX_STEPS), width)
    history = array(address_of(frame, code, NEXT_HISTORY), shape, np.int8)
    x = matrix(frame, code, X, np.int8)
    _write(x, word(code, COLUMN), history, word(frame, HISTORY + ROWS) - 1)
