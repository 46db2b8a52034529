"""A team: the thread of a call, and threads that help it with one instruction after another.

The ticket is one word: the number of the instruction times TURN, plus the number of parts times
COUNT, plus the number of the next part.  A thread takes a part when it adds 1 to the ticket.  Only
the thread of the call begins an instruction, and it ends the instruction when all parts are done.
Therefore no thread waits for a thread that has taken no part: a helper that starts late, or never,
does no harm.
"""

from __future__ import annotations

import numpy as np

COUNT, TURN = 1 << 16, 1 << 32
MAX_THREADS = 256
"""Largest number of threads of a team."""
LEAST_WORK = 1 << 18
"""Least work of a part in multiply-adds, or in steps that are as cheap: about ten times what it
costs to hand over a part."""
SPINS = 4000
"""Number of looks at a word before a thread sleeps, about 0.1 ms."""
LINE = 8
"""Words of a cache line."""

FIELDS = (
    "ticket",
    *(f"ticket_line_{n}" for n in range(1, LINE)),
    "done",  # number of parts that are done
    *(f"done_line_{n}" for n in range(1, LINE)),
    "sleepers",  # number of helpers that sleep, or are about to
    "sleeps",  # 1 if the thread of the call sleeps, or is about to
    "ended",  # 1 if there is nothing more to do
    "allowed",  # helpers with this number or a larger one leave
    "frame",  # the frame and the code of the instruction
    "code",
    "across",  # number of parts of its columns, and of its rows
    "down",
    "least_work",  # see LEAST_WORK
    "threads",  # largest number of threads
    "rooms",  # address of a room for each thread: a frame, and scratch memory behind it
    "room_bytes",
    "partials",  # address of the largest outputs of each part, and their columns
    "shared",  # number of instructions that ran in parts
)
TEAM = np.dtype([(name, "i8") for name in FIELDS])
OFFSET = {name: 8 * index for index, name in enumerate(FIELDS)}
"""Field -> its place in the record, in bytes."""
