"""Times single instructions of a Program, as the compiled engine runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.executor import Engine
from int8ref.instruction import Instruction
from int8ref.machine import call as word
from int8ref.machine.native import machine
from int8ref.program import Tensors
from int8ref.reference.linear import Linear

REPEATS = 200
"""Most repeats of an instruction in one call of the machine."""


@dataclass(frozen=True)
class Timed:
    """An instruction that can be run by itself: `run(n)` runs it n times."""

    label: str
    sequence: str
    run: Callable[[int], None]


def instructions(engine: Engine, tensors: Tensors, batch: list[list[int]]) -> Iterator[Timed]:
    """Every instruction of the encoder and of a decoder step, on the values of a batch.

    The last of the decoder is the one that the engine runs in a greedy search: with its argmax.
    """
    session: Any = engine.session(batch)
    program = engine.program
    session.step(np.full(len(batch), program.start, np.int32))
    for sequence, rows in (("encoder", session._code.encoder), ("decoder", session._code.choice)):
        for instruction, row in zip(getattr(program, sequence), rows, strict=True):
            yield Timed(label(instruction, tensors), sequence, _runner(session, row))


def label(instruction: Instruction, tensors: Tensors) -> str:
    """Name of an operation, with the size of its matrix if it has one."""
    if isinstance(instruction, Linear):
        outputs, inputs = tensors[instruction.weight].shape
        return f"linear {outputs}x{inputs}"
    return instruction.op


def _runner(session: Any, row: npt.NDArray[np.int64]) -> Callable[[int], None]:
    """Runs a row of code on the arena of a session."""
    code = np.repeat(row[None], REPEATS, axis=0)
    call = np.zeros(word.CALL_WORDS, np.int64)
    call[[word.MODE, word.CODE]] = word.RUN, code.ctypes.data
    call[word.FRAME] = session._arena.frame.ctypes.data
    native = machine()

    def run(count: int, kept: Any = (session, code)) -> None:  # the call has their addresses
        for done in range(0, count, REPEATS):
            call[word.CODE_ROWS] = min(count - done, REPEATS)
            native(call.ctypes.data)

    return run
