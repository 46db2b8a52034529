"""How code and frame are laid out: the agreement between the assembler and compiled code.

The frame is a record that tells compiled code where the values of a batch are.  A value of a domain
lies at base + prefix * capacity, one row after the other: `base` and `capacity` (rows there is room
for) are the domain's, `prefix` (bytes a row of all values before it) is the value's.  So code does
not depend on the batch, and a batch is described by a dozen words.

A history has a row for each step of each target row: step t of target row r is its row
r * max_steps + t, its capacity is max_steps times the capacity of the target, and its `rows` are
the steps of each target row so far, this one included.

Code is an int64 matrix, a row an instruction: the opcode, then the operands in the order of the
instruction's fields.
"""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from typing import Any

import numpy as np

from int8ref.spec.instruction import Instruction, field_kinds
from int8ref.spec.operands import DOMAINS

BASE, CAPACITY, ROWS = range(3)
"""Words of a domain in the frame, which begin at 3 * its index."""
FRAME = np.dtype(
    [(f"{domain}_{word}", "i8") for domain in DOMAINS for word in ("base", "capacity", "rows")]
    + [
        ("workspace", "i8"),  # address of the scratch memory
        ("max_steps", "i8"),  # steps there is room for in the history of a target row
    ]
)

DOMAIN, PREFIX, WIDTH, ITEM = range(4)
"""Words of a value operand: index of its domain, prefix, width, bytes an element (0: absent)."""
ADDRESS, LENGTH = range(2)
"""Words of a tensor operand: address (0: absent), size of its first dimension."""
OPERAND_WORDS = {"value": 4, "result": 4, "tensor": 2, "constant": 1}
CODE_WORDS = 56
CODE_BYTES = CODE_WORDS * np.dtype(np.int64).itemsize
QUADS = CODE_WORDS - 1
"""Word of a product: 1 where its weight has sums of four products in 16 bits, which the start
values are for then (`kernels.gemm.quads`)."""
START_SHIFT = QUADS - 1
"""Word of a product: the unit of its start values, see `start_shift` of `kernels.gemm.driver`."""
PACKED = START_SHIFT - 1
"""Word of an embedding: 1 where its table is a packed weight."""


_named_tuple: Any = namedtuple


@cache
def operand_places(cls: type[Instruction]) -> dict[str, int]:
    """Where each field of an instruction begins in its row of code; word 0 is the opcode."""
    places, at = {}, 1
    for field, kind in field_kinds(cls):
        places[field] = at
        at += OPERAND_WORDS[kind]
    if at > PACKED:
        raise ValueError(f"{cls.__name__} has too many operands for a row of code")
    return places


@cache
def operands_at(cls: type[Instruction]) -> Any:
    """The operand places as a named tuple, which compiled code reads as constants."""
    places = operand_places(cls)
    return _named_tuple("Operands", places)(*places.values())
