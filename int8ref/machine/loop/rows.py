"""The rows of a decoder step: their inputs, and the states that they carry from step to step."""

from __future__ import annotations

import numpy as np

from int8ref.abi.call import CALL
from int8ref.abi.frame import DOMAIN, ITEM, OPERAND_WORDS, STATE_WORDS, WIDTH
from int8ref.kernels.histories import Rows, copy_rows
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.memory import copy_bytes
from int8ref.kernels.views import address_of, array, frame_at, record_at, word
from int8ref.spec.operands import DOMAINS

OPERAND_BYTES = 8 * OPERAND_WORDS["value"]
STATE_BYTES = 8 * STATE_WORDS
STATE_PITCH = STATE_WORDS - 1
HISTORY_DOMAIN = DOMAINS.index("history")


call_at = record_at(CALL)
"""The call as a record (`abi.call.CALL`)."""


def _target_input(index):
    """A function that gives an input of the decoder, with room for every row."""

    @kernel
    def rows_of_input(frame, call):
        operand = call_at(call).targets + index * OPERAND_BYTES
        return array(address_of(frame, operand, 0), (frame_at(frame).target_capacity,), np.int32)

    return rows_of_input


ids_of, positions_of, sentence_of = (_target_input(index) for index in range(3))
"""Token ids, positions and sentences of the rows, of (frame, call)."""


@kernel
def vector(address, sentences):
    """int32 [sentences] at an address."""
    return array(address, (np.int64(sentences),), np.int32)


@kernel
def ends(call, token):
    """Whether a token ends a sentence."""
    found = False
    for end in vector(call_at(call).ends, call_at(call).end_count):
        found = found or end == token
    return found


@kernel
def table(call, address, sentences):
    """int32 [sentences, pitch] at an address."""
    return array(address, (np.int64(sentences), call_at(call).pitch), np.int32)


@kernel
def slots_of(frame):
    """The history slot of each row."""
    return array(frame_at(frame).slots, (frame_at(frame).target_capacity,), np.int32)


@kernel
def set_position(frame, call, row, position):
    """Set the position of a row, which counts from 0: an input, and the step of its histories."""
    positions_of(frame, call)[row] = np.int32(position)
    steps = array(frame_at(frame).steps, (frame_at(frame).target_capacity,), np.int32)
    steps[row] = np.int32(position)


@kernel
def place_row(frame, call, row, slot, index, position):
    """Make a row the step `position` of a sentence, whose tokens are given."""
    if position == 0:
        token = vector(call_at(call).starts, index + 1)[index]
    else:
        token = table(call, call_at(call).given, index + 1)[index, position - 1]
    ids_of(frame, call)[row] = token
    sentence_of(frame, call)[row] = np.int32(index)
    slots_of(frame)[row] = np.int32(slot)
    set_position(frame, call, row, position)


@kernel
def is_history(call, index):
    """Whether a state is a history."""
    return word(call_at(call).states + index * STATE_BYTES, DOMAIN) == HISTORY_DOMAIN


@kernel
def state(frame, call, index):
    """(address, bytes) of the first row of a state; a history has the bytes of a step."""
    operand = call_at(call).states + index * STATE_BYTES
    return address_of(frame, operand, 0), word(operand, WIDTH) * word(operand, ITEM)


@kernel
def copy_states(frame, call, source, target, steps):
    """Copy the states of row `source` to row `target`, and `steps` steps of its histories."""
    slots, shape = slots_of(frame), frame_at(frame)
    old = np.int64(slots[source]) * shape.max_steps
    new = np.int64(slots[target]) * shape.max_steps
    for s in range(call_at(call).state_rows):
        if is_history(call, s):
            first, size = state(frame, call, s)
            pitch = word(call_at(call).states + s * STATE_BYTES, STATE_PITCH)
            copy_rows(Rows(first, size, pitch, shape.page_steps), old, new, steps)
        else:
            copy_state(frame, call, s, source, target)


@kernel
def copy_state(frame, call, index, source, target):
    """Copy a state that is no history from row `source` to row `target`."""
    first, size = state(frame, call, index)
    copy_bytes(first + source * size, first + target * size, size)


@kernel
def move_states(frame, call, source, target):
    """Copy the states of row `source` to row `target`, except histories, which have slots."""
    for s in range(call_at(call).state_rows):
        if not is_history(call, s):
            copy_state(frame, call, s, source, target)


@kernel
def clear_states(frame, call, rows):
    """Set the states of the first rows to zero; a history is empty without it."""
    for s in range(call_at(call).state_rows):
        if not is_history(call, s):
            first, size = state(frame, call, s)
            content = array(first, (size * rows,), np.int8)
            for i in range(len(content)):
                content[i] = np.int8(0)
