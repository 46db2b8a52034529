"""The rows of a decoder step: their inputs, and the states they carry from step to step."""

from __future__ import annotations

import numpy as np

from int8ref.abi.call import STATE_ROWS, STATES, TARGETS
from int8ref.abi.frame import (
    CAPACITY,
    DOMAIN,
    DOMAINS,
    HISTORY,
    ITEM,
    MAX_STEPS,
    OPERAND_WORDS,
    ROWS,
    TARGET,
    WIDTH,
)
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address
from int8ref.kernels.ir.memory import copy_bytes
from int8ref.kernels.views import address_of, array, set_word, word

TARGET_ROWS = TARGET + ROWS
STEPS = HISTORY + ROWS
VALUE_WORDS = OPERAND_WORDS["value"]
HISTORY_DOMAIN = DOMAINS.index("history")


@kernel
def target_input(frame, call, index):
    """An input of the decoder (0: ids, 1: positions, 2: sentence), with room for every row."""
    operand = word(call, TARGETS) + index * VALUE_WORDS * 8
    return array(address_of(frame, operand, 0), (word(frame, TARGET + CAPACITY),), np.int32)


@kernel
def begin_step(frame, call, rows, step):
    """Rows, positions and histories of a decoder step; `step` counts from 0."""
    set_word(frame, TARGET_ROWS, rows)
    set_word(frame, STEPS, step + 1)
    positions = target_input(frame, call, 1)
    for row in range(rows):
        positions[row] = np.int32(step)


@kernel
def state(frame, call, index):
    """A state as bytes [rows there is room for, bytes a row]; a row of a history has all steps."""
    operand = word(call, STATES) + index * VALUE_WORDS * 8
    size = word(operand, WIDTH) * word(operand, ITEM)
    if word(operand, DOMAIN) == HISTORY_DOMAIN:
        size *= word(frame, MAX_STEPS)
    return array(address_of(frame, operand, 0), (word(frame, TARGET + CAPACITY), size), np.int8)


@kernel
def used_bytes(frame, call, index):
    """How many bytes of a row of a state have content: those of the steps so far."""
    operand = word(call, STATES) + index * VALUE_WORDS * 8
    size = word(operand, WIDTH) * word(operand, ITEM)
    if word(operand, DOMAIN) == HISTORY_DOMAIN:
        size *= word(frame, STEPS)
    return size


@kernel
def move_states(frame, call, source, target):
    """Copy the states of row `source` to row `target`."""
    for s in range(word(call, STATE_ROWS)):
        values = state(frame, call, s)
        first, size = address(values, np.int8), values.shape[1]
        copy_bytes(first + source * size, first + target * size, used_bytes(frame, call, s))


@kernel
def clear_states(frame, call):
    """All states zero, all histories empty."""
    set_word(frame, STEPS, 0)
    for s in range(word(call, STATE_ROWS)):
        values = state(frame, call, s)
        for row in range(word(frame, TARGET_ROWS)):
            for i in range(used_bytes(frame, call, s)):
                values[row, i] = np.int8(0)
