"""The loop over instructions.  Each instruction is a call of the native function of its
operation, or several calls by several threads."""

from __future__ import annotations

from int8ref.abi.frame import CODE_BYTES
from int8ref.kernels.views import frame_at, word
from int8ref.machine.loop.dispatch import dispatch
from int8ref.machine.loop.part import part
from int8ref.machine.loop.team import run_in_parts


@part
def run(address: int, rows: int, frame: int) -> None:
    """Run `rows` instructions of code."""
    alone = frame_at(frame).team == 0
    for row in range(rows):
        code = address + row * CODE_BYTES
        if alone or run_in_parts(code, frame) == 0:
            dispatch(word(code, 0), frame, code)
