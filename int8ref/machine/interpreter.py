"""The loop over instructions, and greedy search around it: what runs without Python.

Compiled into one native function of one argument, the address of a call: int64 words whose meaning
`CALL` gives.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray

from int8ref.kernels.compile import kernel
from int8ref.kernels.linear import argmax_step
from int8ref.kernels.views import pointer, value_address
from int8ref.machine.assemble import OPCODES
from int8ref.machine.call import (
    CALL_WORDS,
    CODE,
    CODE_ROWS,
    DECODER,
    DECODER_ROWS,
    EOS,
    FRAME,
    GREEDY,
    HEAD,
    LENGTHS,
    LIMITS,
    MODE,
    OUT,
    OUT_PITCH,
    SCORES,
    START,
    STATE_ROWS,
    STATES,
    TARGETS,
)
from int8ref.machine.frame import (
    CAPACITY,
    CODE_WORDS,
    FRAME_WORDS,
    ITEM,
    OPERAND_WORDS,
    ROWS,
    WIDTH,
)

TARGET_ROWS = 3 + ROWS
SENTENCES = 6 + ROWS
VALUE_WORDS = OPERAND_WORDS["value"]
STATE_WIDTH, STATE_ITEM = WIDTH, ITEM


def _dispatch() -> Callable[..., Any]:
    """dispatch(opcode, frame, code): a chain of comparisons over all operations."""

    @kernel
    def chain(opcode, frame, code):
        return

    for op, index in sorted(OPCODES.items(), key=lambda item: -item[1]):
        step = importlib.import_module(f"int8ref.kernels.{op}").step
        chain = _link(np.int64(index), step, chain)
    return chain


def _link(index: Any, step: Callable[..., Any], rest: Callable[..., Any]) -> Callable[..., Any]:
    @kernel
    def chain(opcode, frame, code):
        if opcode == index:
            step(frame, code)
        else:
            rest(opcode, frame, code)

    return chain


dispatch = _dispatch()


@kernel
def words(address, count):
    """int64 words at an address."""
    return carray(pointer(address), (count,), np.int64)


@kernel
def run(address, rows, frame):
    """Run `rows` instructions of code."""
    for row in range(rows):
        code = words(address + row * CODE_WORDS * 8, CODE_WORDS)
        dispatch(code[0], frame, code)


@kernel
def target_input(frame, call, index):
    """An input of the decoder (0: ids, 1: positions, 2: sentence), with room for every row."""
    operand = words(call[TARGETS] + index * VALUE_WORDS * 8, VALUE_WORDS)
    shape = (frame[3 + CAPACITY],)
    return carray(pointer(value_address(frame, operand, 0)), shape, np.int32)


@kernel
def move_states(frame, call, source, target):
    """Copy the states of row `source` to row `target`."""
    for s in range(call[STATE_ROWS]):
        operand = words(call[STATES] + s * VALUE_WORDS * 8, VALUE_WORDS)
        size = operand[STATE_WIDTH] * operand[STATE_ITEM]
        base = value_address(frame, operand, 0)
        old = carray(pointer(base + source * size), (size,), np.int8)
        new = carray(pointer(base + target * size), (size,), np.int8)
        for i in range(size):
            new[i] = old[i]


@kernel
def clear_states(frame, call):
    """All states zero."""
    for s in range(call[STATE_ROWS]):
        operand = words(call[STATES] + s * VALUE_WORDS * 8, VALUE_WORDS)
        size = operand[STATE_WIDTH] * operand[STATE_ITEM] * frame[TARGET_ROWS]
        state = carray(pointer(value_address(frame, operand, 0)), (size,), np.int8)
        for i in range(size):
            state[i] = np.int8(0)


@kernel
def greedy(frame, call):
    """Twin of `search.greedy`: encode, then step until every row is done."""
    sentences = frame[SENTENCES] - 1
    limits = carray(pointer(call[LIMITS]), (sentences,), np.int32)
    lengths = carray(pointer(call[LENGTHS]), (sentences,), np.int32)
    out = carray(pointer(call[OUT]), (sentences, call[OUT_PITCH]), np.int32)
    ids, positions = target_input(frame, call, 0), target_input(frame, call, 1)
    sentence = target_input(frame, call, 2)
    head = words(call[HEAD], CODE_WORDS)
    scores = carray(pointer(call[SCORES]), (sentences,), np.int32)
    eos = np.int32(call[EOS])
    run(call[CODE], call[CODE_ROWS], frame)
    frame[TARGET_ROWS] = sentences
    clear_states(frame, call)
    for row in range(sentences):
        ids[row] = np.int32(call[START])
        sentence[row] = np.int32(row)
        lengths[row] = np.int32(0)
    length = np.int32(0)
    rows = sentences
    while rows > 0:
        for row in range(rows):
            positions[row] = length
        run(call[DECODER], call[DECODER_ROWS], frame)
        argmax_step(frame, head, ids[:rows], scores[:rows])
        length = np.int32(length + np.int32(1))
        going = 0
        for row in range(rows):
            token, index = ids[row], sentence[row]
            if token != eos:
                out[index, lengths[index]] = token
                lengths[index] = length
                if length < limits[index]:
                    if going < row:
                        ids[going] = token
                        sentence[going] = index
                        move_states(frame, call, row, going)
                    going += 1
        rows = going
        frame[TARGET_ROWS] = rows


@kernel
def call_machine(address):
    """Do what the call at `address` asks for."""
    call = words(address, CALL_WORDS)
    frame = words(call[FRAME], FRAME_WORDS)
    if call[MODE] == GREEDY:
        greedy(frame, call)
    else:
        run(call[CODE], call[CODE_ROWS], frame)
