"""The layout of code and frame, on which the assembler and compiled code agree.

The frame is a record that locates the values of a batch.  A value of a domain lies at
base + prefix * capacity, one row after the other.  `base` and `capacity` (the number of rows with
room) belong to the domain.  `prefix` belongs to the value: it is the number of bytes that all
values before it take in a row.  Therefore code does not depend on the batch, and a few words
describe a batch.

A history has a slot for each text, and a row for each step of a slot.  Step t of slot s is row
s * max_steps + t of the history.  The capacity of the history is max_steps times the number of
slots, and max_steps is a multiple of page_steps.  The rows of a history lie in pages of page_steps
rows.  In a page, the rows are cut into pieces of `pitch` columns, usually the columns of one head:
the first piece of all rows, then the second piece of all rows, and so on.  Therefore a head reads
its keys one after the other.  Column n of row r is byte

    floor(r / page_steps) * page_steps * width + (n - n mod pitch) * page_steps
    + (r mod page_steps) * pitch + n mod pitch

A row of the target is one step of one slot.  Rows of one slot may be several steps, in
ascending order: then an `append` writes all of them, and attention shows each row its own step and
the steps before it.

Code is an int64 matrix with one row for each instruction: the opcode, then the operands in the
order of the instruction's fields.
"""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from typing import Any

import numpy as np

from int8ref.spec.instruction import Instruction, field_kinds
from int8ref.spec.operands import DOMAINS

BASE, CAPACITY, ROWS, FIRST = range(4)
"""Words of a domain in the frame.  They begin at DOMAIN_WORDS * (index of the domain).  A frame may
have only some rows of a domain: `rows` rows from row `first` on."""
DOMAIN_WORDS = 4
FRAME = np.dtype(
    [
        (f"{domain}_{word}", "i8")
        for domain in DOMAINS
        for word in ("base", "capacity", "rows", "first")
    ]
    + [
        ("workspace", "i8"),  # address of the scratch memory
        ("max_steps", "i8"),  # capacity of a slot of a history, in steps
        ("page_steps", "i8"),  # steps of a page of a history
        ("slots", "i8"),  # address of int32 [target_capacity]: the slot of each target row
        ("steps", "i8"),  # address of int32 [target_capacity]: the step of each target row, from 0
        ("team", "i8"),  # address of a record of `abi.team`; 0: this thread runs alone
        ("share", "i8"),  # with `shares`: which part of the columns of a result is computed
        ("shares", "i8"),  # number of these parts
        ("partials", "i8"),  # address of room for the largest outputs of each part
    ]
)

DOMAIN, PREFIX, WIDTH, ITEM = range(4)
"""Words of a value operand: index of its domain, prefix, width, bytes of an element (0: absent)."""
ADDRESS, LENGTH = range(2)
"""Words of a tensor operand: address (0: absent), size of its first dimension."""
STATE_WORDS = 5
"""Words of a state: those of its value, and the columns of a piece (0: no history)."""
OPERAND_WORDS = {"value": 4, "result": 4, "tensor": 2, "constant": 1}
CODE_WORDS = 60
CODE_BYTES = CODE_WORDS * np.dtype(np.int64).itemsize
QUADS = CODE_WORDS - 1
"""Word of a product: 1 if its kernel sums four products in 16 bits.  The start values are then made
for these sums (`kernels.gemm.quads`)."""
START_SHIFT = QUADS - 1
"""Word of a product: the unit of its start values, see `start_shift` of `kernels.gemm.driver`."""
PACKED = START_SHIFT - 1
"""Word of an embedding: 1 if its table is a packed weight."""

WIDE_POSITIONS = PACKED - 1
"""Word of an embedding: 1 if its table of positions has 16 bits."""
HISTORY_PITCH = WIDE_POSITIONS - 1
"""Word of an `append` and of an attention over histories: columns of a piece of the history, or of
the keys."""
VALUE_PITCH = HISTORY_PITCH - 1
"""Word of an attention over histories: columns of a piece of the values."""
WORK = VALUE_PITCH - 1
"""Word of every instruction: the cost of a row in multiply-adds of a product; of an
attention, the cost of a row and a key."""
ACROSS = WORK - 1
"""Word of every instruction: the number of parts into which its columns can be cut; 0: it always
runs in one thread."""
DOWN = ACROSS - 1
"""Word of every instruction: 1 if its rows can be cut into parts."""
ROWS_OF = DOWN - 1
"""Word of every instruction with parts: 1 + the domain of its rows."""


_named_tuple: Any = namedtuple


@cache
def operand_places(cls: type[Instruction]) -> dict[str, int]:
    """Where each field of an instruction begins in its row of code; word 0 is the opcode."""
    places, at = {}, 1
    for field, kind in field_kinds(cls):
        places[field] = at
        at += OPERAND_WORDS[kind]
    if at > ROWS_OF:
        raise ValueError(f"{cls.__name__} has too many operands for a row of code")
    return places


@cache
def operands_at(cls: type[Instruction]) -> Any:
    """The operand places as a named tuple, which compiled code reads as constants."""
    places = operand_places(cls)
    return _named_tuple("Operands", places)(*places.values())
