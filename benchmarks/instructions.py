"""Times single instructions of a Program in the compiled engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.abi.call import CALL, RUN
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.memory.arena import Arena
from int8ref.machine.model.assemble import Code
from int8ref.machine.toolchain.native import machine
from int8ref.program.inputs import Batch
from int8ref.program.program import Program, Tensors
from int8ref.reference.linear import Linear
from int8ref.spec.instruction import Instruction

REPEATS = 200
"""Largest number of repeats of an instruction in one call of the machine."""


@dataclass(frozen=True)
class Timed:
    """An instruction that runs alone.  `run(n)` runs it n times."""

    label: str
    sequence: str
    run: Callable[[int], None]


def instructions(program: Program, tensors: Tensors, code: Code, batch: Batch) -> Iterator[Timed]:
    """Yield every instruction of the encoder and of the first decoder step of a greedy search.

    `code` is `CompiledEngine.code(coarse_head=True)`, the code of a greedy search, or `code()`.
    The last instruction of `code()` computes every logit to find the largest.
    """
    rows = len(batch)
    arena = Arena(code, Memory(), batch, slots=rows, max_steps=1)
    arena.set_rows("history", 1)
    arena.value("target.ids", rows)[...] = program.start
    arena.value("target.positions", rows)[...] = 0
    arena.value("target.sentence", rows)[...] = np.arange(rows)
    for state in program.states:
        arena.value(state.value, rows)[...] = 0
    for sequence, content in (("encoder", code.encoder), ("decoder", code.greedy_decoder)):
        for instruction, row in zip(getattr(program, sequence), content, strict=True):
            run = _runner(arena, row)
            run(1)  # later instructions read its results
            yield Timed(label(instruction, tensors), sequence, run)


def label(instruction: Instruction, tensors: Tensors) -> str:
    """Return the name of an operation, with the size of its matrix."""
    if isinstance(instruction, Linear):
        outputs, inputs = tensors[instruction.weight].shape
        return f"linear {outputs}x{inputs}"
    return instruction.op


def _runner(arena: Arena, row: npt.NDArray[np.int64]) -> Callable[[int], None]:
    """Return a function that runs a row of code on an arena."""
    code = np.repeat(row[None], REPEATS, axis=0)
    call = np.zeros(1, CALL)
    call["mode"], call["code"], call["frame"] = RUN, code.ctypes.data, arena.address
    native = machine()

    def run(count: int, kept: Any = (arena, code)) -> None:  # the call stores the addresses of both
        for done in range(0, count, REPEATS):
            call["code_rows"] = min(count - done, REPEATS)
            native(call.ctypes.data)

    return run
