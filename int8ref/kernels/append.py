"""Compiled twin of `int8ref.reference.append`."""

from __future__ import annotations

from int8ref.abi.frame import HISTORY_PITCH, WIDTH, operands_at
from int8ref.kernels.histories import Rows, write_row
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import int32_at
from int8ref.kernels.views import address_of, frame_at, rows_of, word
from int8ref.reference.append import Append

AT = operands_at(Append)


@kernel
def step(frame, code):
    """Write the row of each step to its history.

    A history and its successor share their memory, so that nothing else is copied.
    """
    shape = frame_at(frame)
    history = Rows(
        address_of(frame, code, AT.next_history),
        word(code, AT.next_history + WIDTH),
        word(code, HISTORY_PITCH),
        shape.page_steps,
    )
    source, pitch = address_of(frame, code, AT.x) + word(code, AT.column), word(code, AT.x + WIDTH)
    for r in range(rows_of(frame, code, AT.x)):
        place = int32_at(shape.slots, r) * shape.max_steps + int32_at(shape.steps, r)
        write_row(history, place, source + r * pitch)
