"""Compiled twin of `int8ref.reference.append`."""

from __future__ import annotations

from int8ref.abi.frame import WIDTH, operands_at
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.memory import copy_bytes
from int8ref.kernels.views import address_of, frame_at, rows_of, word
from int8ref.reference.append import Append

AT = operands_at(Append)


@kernel
def step(frame, code):
    """Write the newest row of each history.

    A history and its successor share their memory, so that nothing else is copied.
    """
    shape = frame_at(frame)
    width, pitch = word(code, AT.next_history + WIDTH), word(code, AT.x + WIDTH)
    source = address_of(frame, code, AT.x) + word(code, AT.column)
    newest = address_of(frame, code, AT.next_history) + (shape.history_rows - 1) * width
    for r in range(rows_of(frame, code, AT.x)):
        copy_bytes(source + r * pitch, newest + r * shape.max_steps * width, width)
