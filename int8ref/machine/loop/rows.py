"""The rows of a decoder step: their inputs, and the states that they carry from step to step."""

from __future__ import annotations

import numpy as np

from int8ref.abi.call import CALL
from int8ref.abi.frame import DOMAIN, ITEM, OPERAND_WORDS, WIDTH
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address
from int8ref.kernels.ir.memory import copy_bytes
from int8ref.kernels.views import address_of, array, frame_at, record_at, word
from int8ref.spec.operands import DOMAINS

OPERAND_BYTES = 8 * OPERAND_WORDS["value"]
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
def begin_step(frame, call, rows, step):
    """Set the rows, positions and histories of a decoder step; `step` counts from 0."""
    frame_at(frame).target_rows = rows
    frame_at(frame).history_rows = step + 1
    positions = positions_of(frame, call)
    for row in range(rows):
        positions[row] = np.int32(step)


@kernel
def state(frame, call, index):
    """A state as bytes [capacity, bytes of a row]; a row of a history has room for all steps."""
    operand = call_at(call).states + index * OPERAND_BYTES
    size = word(operand, WIDTH) * word(operand, ITEM)
    if word(operand, DOMAIN) == HISTORY_DOMAIN:
        size *= frame_at(frame).max_steps
    shape = frame_at(frame).target_capacity, size
    return array(address_of(frame, operand, 0), shape, np.int8)


@kernel
def used_bytes(frame, call, index):
    """Number of used bytes in a row of a state; a history uses the bytes of the steps so far."""
    operand = call_at(call).states + index * OPERAND_BYTES
    size = word(operand, WIDTH) * word(operand, ITEM)
    if word(operand, DOMAIN) == HISTORY_DOMAIN:
        size *= frame_at(frame).history_rows
    return size


@kernel
def move_states(frame, call, source, target):
    """Copy the states of row `source` to row `target`."""
    for s in range(call_at(call).state_rows):
        values = state(frame, call, s)
        first, size = address(values, np.int8), values.shape[1]
        copy_bytes(first + source * size, first + target * size, used_bytes(frame, call, s))


@kernel
def clear_states(frame, call):
    """Set all states to zero, and make all histories empty."""
    frame_at(frame).history_rows = 0
    for s in range(call_at(call).state_rows):
        values = state(frame, call, s)
        for row in range(frame_at(frame).target_rows):
            for i in range(used_bytes(frame, call, s)):
                values[row, i] = np.int8(0)
