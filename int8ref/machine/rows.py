"""The rows of a decoder step: their inputs, and the states they carry from step to step."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.compile import kernel
from int8ref.kernels.views import address_of, array, word
from int8ref.machine.call import STATE_ROWS, STATES, TARGETS
from int8ref.machine.frame import CAPACITY, ITEM, OPERAND_WORDS, ROWS, WIDTH

TARGET_ROWS = 3 + ROWS
VALUE_WORDS = OPERAND_WORDS["value"]


@kernel
def target_input(frame, call, index):
    """An input of the decoder (0: ids, 1: positions, 2: sentence), with room for every row."""
    operand = word(call, TARGETS) + index * VALUE_WORDS * 8
    return array(address_of(frame, operand, 0), (word(frame, 3 + CAPACITY),), np.int32)


@kernel
def state(frame, call, index):
    """A state as bytes [rows there is room for, bytes a row]."""
    operand = word(call, STATES) + index * VALUE_WORDS * 8
    shape = (word(frame, 3 + CAPACITY), word(operand, WIDTH) * word(operand, ITEM))
    return array(address_of(frame, operand, 0), shape, np.int8)


@kernel
def move_states(frame, call, source, target):
    """Copy the states of row `source` to row `target`."""
    for s in range(word(call, STATE_ROWS)):
        values = state(frame, call, s)
        for i in range(values.shape[1]):
            values[target, i] = values[source, i]


@kernel
def clear_states(frame, call):
    """All states zero."""
    for s in range(word(call, STATE_ROWS)):
        values = state(frame, call, s)
        for row in range(word(frame, TARGET_ROWS)):
            for i in range(values.shape[1]):
                values[row, i] = np.int8(0)
