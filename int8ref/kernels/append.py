"""Compiled twin of `int8ref.reference.append`."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import (
    CAPACITY,
    HISTORY,
    MAX_STEPS,
    ROWS,
    TARGET,
    WIDTH,
    operands_at,
)
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address
from int8ref.kernels.ir.memory import copy_bytes
from int8ref.kernels.views import address_of, array, matrix, word
from int8ref.reference.append import Append

AT = operands_at(Append)
X, COLUMN, NEXT_HISTORY = (AT[f] for f in ("x", "column", "next_history"))


@kernel
def append(x, column, history, next_history):
    """A copy of the history and the row behind it."""
    steps, width = history.shape[1], history.shape[2]
    source, target = address(history, np.int8), address(next_history, np.int8)
    for r in range(history.shape[0]):
        before, after = r * steps * width, r * (steps + 1) * width
        copy_bytes(source + before, target + after, steps * width)
    _write(x, column, next_history, steps)


@kernel
def _write(x, column, history, t):
    """history[r, t] = x[r, column:]."""
    steps, width = history.shape[1], history.shape[2]
    source, target = address(x, np.int8) + column, address(history, np.int8) + t * width
    for r in range(x.shape[0]):
        copy_bytes(source + r * x.shape[1], target + r * steps * width, width)


@kernel
def step(frame, code):
    """Run an append instruction: a history and its successor share their place."""
    width = word(code, NEXT_HISTORY + WIDTH)
    shape = (word(frame, TARGET + CAPACITY), word(frame, MAX_STEPS), width)
    history = array(address_of(frame, code, NEXT_HISTORY), shape, np.int8)
    x = matrix(frame, code, X, np.int8)
    _write(x, word(code, COLUMN), history, word(frame, HISTORY + ROWS) - 1)
