"""The one native function of the machine.  Its argument is the address of a call."""

from __future__ import annotations

from int8ref.abi.call import BEAM, GREEDY, HELP, SAMPLE, SCORE
from int8ref.machine.loop.beam import beam
from int8ref.machine.loop.forced import forced
from int8ref.machine.loop.greedy import greedy
from int8ref.machine.loop.interpreter import run
from int8ref.machine.loop.rows import call_at
from int8ref.machine.loop.sample import sample
from int8ref.machine.loop.team import end_team, help_team


def call_machine(address):
    """Run the call at `address`."""
    call = call_at(address)
    if call.mode == HELP:
        help_team(call.team, call.thread)
        return
    if call.mode == GREEDY:
        greedy(call.frame, address)
    elif call.mode == BEAM:
        beam(call.frame, address)
    elif call.mode == SCORE:
        forced(call.frame, address)
    elif call.mode == SAMPLE:
        sample(call.frame, address)
    else:
        run(call.code, call.code_rows, call.frame)
    if call.team != 0:
        end_team(call.team)
