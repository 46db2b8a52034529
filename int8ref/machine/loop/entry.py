"""The one native function of the machine: its argument is the address of a call."""

from __future__ import annotations

from int8ref.abi.call import BEAM, CODE, CODE_ROWS, FRAME, GREEDY, MODE, SAMPLE, SCORE
from int8ref.kernels.views import word
from int8ref.machine.loop.beam import beam
from int8ref.machine.loop.forced import forced
from int8ref.machine.loop.greedy import greedy
from int8ref.machine.loop.interpreter import run
from int8ref.machine.loop.sample import sample


def call_machine(address):
    """Do what the call at `address` asks for."""
    frame, mode = word(address, FRAME), word(address, MODE)
    if mode == GREEDY:
        greedy(frame, address)
    elif mode == BEAM:
        beam(frame, address)
    elif mode == SCORE:
        forced(frame, address)
    elif mode == SAMPLE:
        sample(frame, address)
    else:
        run(word(address, CODE), word(address, CODE_ROWS), frame)
