"""Several threads on one instruction: its columns, heads or rows are cut into parts.

No sum is cut, so that the bits do not depend on the parts.  Each part has a frame of its own, which
says what belongs to it (`abi.frame`), and scratch memory of its own.
"""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import (
    ACROSS,
    DOMAIN_WORDS,
    DOWN,
    FIRST,
    FRAME,
    ITEM,
    ROWS,
    ROWS_OF,
    WORK,
    operands_at,
)
from int8ref.abi.fused import LinearArgmax
from int8ref.abi.opcodes import OPCODES
from int8ref.abi.team import COUNT, OFFSET, SPINS, TEAM, TURN
from int8ref.kernels.ir.atomic import count_up, fetch, pause, publish, replace, sleep_while, wake
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import int32_at
from int8ref.kernels.views import address_of, array, frame_at, record_at, rows_of, word
from int8ref.machine.loop.dispatch import dispatch
from int8ref.machine.loop.part import part
from int8ref.reference.attention import Attention
from int8ref.spec.operands import DOMAINS

FRAME_WORDS = FRAME.itemsize // 8
TICKET, DONE, SLEEPERS, SLEEPS, ENDED, ALLOWED = (
    OFFSET[name] for name in ("ticket", "done", "sleepers", "sleeps", "ended", "allowed")
)
TARGET_DOMAIN = DOMAINS.index("target")
LEAST_ROWS = 4
"""Least number of rows of a part."""
LINEAR_ARGMAX = OPCODES["linear_argmax"]
AT, ATTENTION = operands_at(LinearArgmax), operands_at(Attention)

team_at = record_at(TEAM)
"""The team as a record (`abi.team.TEAM`)."""


@part
def run_in_parts(code: int, frame: int) -> int:
    """Run an instruction in parts, if it is large enough.  Returns 1 if it ran."""
    team = frame_at(frame).team
    t = team_at(team)
    columns = word(code, ACROSS)
    if columns == 0:
        return 0
    rows = word(frame, DOMAIN_WORDS * (word(code, ROWS_OF) - 1) + ROWS)
    work = word(code, WORK) * rows
    if word(code, DOWN) == 0:
        work *= _keys(frame, code, rows)
    most = min(work // t.least_work, min(t.threads, fetch(team + ALLOWED) + 1))
    across = min(columns, most)
    if across < 1:
        return 0
    parts_down = np.int64(1)
    if word(code, DOWN) != 0 and word(code, 0) != LINEAR_ARGMAX:
        parts_down = max(min(most // across, rows // LEAST_ROWS), 1)  # type: ignore[arg-type]
    if across * parts_down < 2:
        return 0
    t.frame, t.code, t.across, t.down = frame, code, across, parts_down
    t.shared += 1
    _begin(team, across * parts_down)
    while _take(team, np.int64(0)) != 0:  # type: ignore[arg-type]
        pass
    _wait(team, across * parts_down)
    if word(code, 0) == LINEAR_ARGMAX:
        _join(frame, code, across)
    return 1


@kernel
def _keys(frame, code, rows):
    """About the number of keys that a row of an attention sees."""
    shape = frame_at(frame)
    if word(code, ATTENTION.sentence + ITEM) == 0:
        return np.int64(int32_at(shape.steps, max(rows, 1) - 1)) + 1
    return shape.source_rows // max(shape.sentence_rows, 1)


@kernel
def _begin(team, parts):
    """Offer the parts of an instruction to the helpers."""
    publish(team + DONE, 0)
    turn = fetch(team + TICKET) // TURN + np.int64(1)
    publish(team + TICKET, turn * TURN + parts * COUNT)
    if fetch(team + SLEEPERS) != 0:
        wake(team + TICKET + 4)


@part
def _take(team: int, thread: int) -> int:
    """Take the next part of the instruction, and run it.  Returns 0 if no part is left."""
    ticket: int = fetch(team + TICKET)
    if ticket % COUNT >= ticket // COUNT % COUNT:
        return 0
    if replace(team + TICKET, ticket, ticket + 1) == 0:
        return 1
    t = team_at(team)
    _run_part(team, thread, ticket % COUNT)
    parts = t.across * t.down
    if count_up(team + DONE, 1) + 1 == parts and fetch(team + SLEEPS) != 0:
        wake(team + DONE)
    return 1


@kernel
def _run_part(team, thread, number):
    """Run a part with the frame and the scratch memory of this thread."""
    t = team_at(team)
    own = t.rooms + thread * t.room_bytes
    source = array(t.frame, (np.int64(FRAME_WORDS),), np.int64)
    target = array(own, (np.int64(FRAME_WORDS),), np.int64)
    for i in range(FRAME_WORDS):
        target[i] = source[i]
    frame, code = frame_at(own), t.code
    frame.workspace = own + np.int64((FRAME_WORDS + 7) // 8 * 64)
    frame.share, frame.shares, frame.partials = number % t.across, t.across, t.partials
    if t.down > 1:
        domain = word(code, ROWS_OF) - np.int64(1)
        at, part_of_rows = domain * DOMAIN_WORDS, number // t.across
        rows = target[at + ROWS]
        first = part_of_rows * rows // t.down
        target[at + ROWS] = (part_of_rows + 1) * rows // t.down - first
        target[at + FIRST] += first
        if domain == TARGET_DOMAIN:
            frame.slots += 4 * first
            frame.steps += 4 * first
    dispatch(word(code, 0), own, code)


@kernel
def _wait(team, parts):
    """Wait until all parts are done."""
    spins = 0
    while fetch(team + DONE) < parts:
        pause()
        spins += 1
        if spins >= SPINS:
            publish(team + SLEEPS, 1)
            done = fetch(team + DONE)
            if done < parts:
                sleep_while(team + DONE, done)
            publish(team + SLEEPS, 0)


@kernel
def _join(frame, code, parts):
    """Of the largest outputs of each part take the largest one; of equal ones, the first."""
    team = team_at(frame_at(frame).team)
    rows = rows_of(frame, code, AT.x)
    out = array(address_of(frame, code, AT.out), (rows,), np.int32)
    found = array(team.partials, (parts, np.int64(2), rows), np.int32)
    for r in range(rows):
        best = np.int64(0)
        for p in range(1, parts):
            if found[p, 1, r] > found[best, 1, r]:
                best = np.int64(p)
        out[r] = found[best, 0, r]


@part
def help_team(team: int, thread: int) -> None:
    """Be helper number `thread` - 1 of a team, until it ends."""
    spins = 0
    ticket: int = fetch(team + TICKET)
    while fetch(team + ENDED) == 0 and thread <= fetch(team + ALLOWED):
        if _take(team, thread) != 0:
            spins = 0
        else:
            pause()
            spins += 1
        if spins >= SPINS:
            count_up(team + SLEEPERS, 1)
            ticket = fetch(team + TICKET)
            if ticket % COUNT >= ticket // COUNT % COUNT and fetch(team + ENDED) == 0:
                sleep_while(team + TICKET + 4, ticket // TURN)
            count_up(team + SLEEPERS, -1)
            spins = 0


@part
def end_team(team: int) -> None:
    """Let all helpers leave."""
    publish(team + ENDED, 1)
    _begin(team, np.int64(0))
