"""The memory of a team of threads (`abi.team`)."""

from __future__ import annotations

import numpy as np

from int8ref.abi import team
from int8ref.abi.frame import FRAME
from int8ref.abi.team import TEAM
from int8ref.machine.memory.aligned import ALIGNMENT, Memory
from int8ref.machine.memory.arena import Arena


def room_for_team(memory: Memory, arena: Arena, threads: int) -> tuple[np.void, int]:
    """The record of a team of at most `threads` threads, and its address.

    Each thread gets room for a frame, and scratch memory that suffices for every instruction.
    """
    records, address = memory.array((1,), TEAM)
    records.view(np.int64)[...] = 0
    record: np.void = records[0]
    frame = -(-FRAME.itemsize // ALIGNMENT) * ALIGNMENT
    size = frame + -(-arena.workspace_bytes // ALIGNMENT) * ALIGNMENT + ALIGNMENT
    _, record["rooms"] = memory.array((threads * size,), np.uint8)
    _, record["partials"] = memory.array((threads, 2, arena.target_capacity), np.int32)
    record["least_work"] = team.LEAST_WORK
    record["room_bytes"], record["threads"] = size, threads
    return record, address
