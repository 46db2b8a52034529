"""The one native function of the machine: its argument is the address of a call."""

from __future__ import annotations

from int8ref.kernels.views import word
from int8ref.machine.call import CODE, CODE_ROWS, FRAME, GREEDY, MODE
from int8ref.machine.greedy import greedy
from int8ref.machine.interpreter import run


def call_machine(address):
    """Do what the call at `address` asks for."""
    frame = word(address, FRAME)
    if word(address, MODE) == GREEDY:
        greedy(frame, address)
    else:
        run(word(address, CODE), word(address, CODE_ROWS), frame)
