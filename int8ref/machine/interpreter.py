"""The loop over instructions, and greedy search around it: what runs without Python.

Compiled into one native function of one argument, the address of a call: int64 words whose meaning
`CALL` gives.
"""

from __future__ import annotations

import importlib

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from int8ref.kernels.compile import kernel
from int8ref.kernels.gemm.lowering import I64, lowers
from int8ref.kernels.views import address_of, array, set_word, word
from int8ref.machine.assemble import OPCODES
from int8ref.machine.call import (
    CODE,
    CODE_ROWS,
    DECODER,
    DECODER_ROWS,
    EOS,
    FRAME,
    GREEDY,
    LENGTHS,
    LIMITS,
    MODE,
    OUT,
    OUT_PITCH,
    START,
    STATE_ROWS,
    STATES,
    TARGETS,
)
from int8ref.machine.frame import (
    CAPACITY,
    CODE_WORDS,
    ITEM,
    OPERAND_WORDS,
    ROWS,
    WIDTH,
)

TARGET_ROWS = 3 + ROWS
SENTENCES = 6 + ROWS
VALUE_WORDS = OPERAND_WORDS["value"]


def dispatch(opcode: int, frame: int, code: int) -> None:
    """Run the instruction at `code`: a call of the native function of its operation."""
    op = next(op for op, index in OPCODES.items() if index == opcode)
    importlib.import_module(f"int8ref.kernels.{op}").step(frame, code)


def symbol(op: str) -> str:
    """Name of the native function of an operation."""
    return f"int8ref.{op}"


@lowers(dispatch)
def _dispatch_ir(builder: ir.IRBuilder, opcode: ir.Value, frame: ir.Value, code: ir.Value) -> None:
    done = builder.append_basic_block("dispatch.done")
    switch = builder.switch(opcode, done)
    kind = ir.FunctionType(ir.VoidType(), [I64, I64])
    for op, index in OPCODES.items():
        with builder.goto_block(builder.append_basic_block(op)):
            switch.add_case(index, builder.block)
            step = cgutils.get_or_insert_function(builder.module, kind, symbol(op))
            builder.call(step, [frame, code])
            builder.branch(done)
    builder.position_at_end(done)


@kernel
def run(address, rows, frame):
    """Run `rows` instructions of code."""
    for row in range(rows):
        code = address + row * CODE_WORDS * 8
        dispatch(word(code, 0), frame, code)


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


@kernel
def greedy(frame, call):
    """Twin of `search.greedy`: encode, then step until every row is done."""
    sentences = word(frame, SENTENCES) - 1
    limits = array(word(call, LIMITS), (sentences,), np.int32)
    lengths = array(word(call, LENGTHS), (sentences,), np.int32)
    out = array(word(call, OUT), (sentences, word(call, OUT_PITCH)), np.int32)
    ids, positions = target_input(frame, call, 0), target_input(frame, call, 1)
    sentence = target_input(frame, call, 2)
    eos = np.int32(word(call, EOS))
    run(word(call, CODE), word(call, CODE_ROWS), frame)
    set_word(frame, TARGET_ROWS, sentences)
    clear_states(frame, call)
    for row in range(sentences):
        ids[row] = np.int32(word(call, START))
        sentence[row] = np.int32(row)
        lengths[row] = np.int32(0)
    length = np.int32(0)
    rows = sentences
    while rows > 0:
        for row in range(rows):
            positions[row] = length
        run(word(call, DECODER), word(call, DECODER_ROWS), frame)  # its last row puts ids
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
        set_word(frame, TARGET_ROWS, rows)


def call_machine(address):
    """Do what the call at `address` asks for."""
    frame = word(address, FRAME)
    if word(address, MODE) == GREEDY:
        greedy(frame, address)
    else:
        run(word(address, CODE), word(address, CODE_ROWS), frame)
