"""The step-by-step session of the compiled backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.abi.call import RUN
from int8ref.engines.calls import Call
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.memory.arena import Arena
from int8ref.machine.model.assemble import Code
from int8ref.program.bounds import Bounds
from int8ref.program.inputs import Batch, Observer, ids_of_rows, places_of_rows
from int8ref.program.program import Program
from int8ref.search.checks import check_decodes

Int64 = npt.NDArray[np.int64]


class CompiledSession:
    """A session whose steps are calls of the machine.  The arena holds the values."""

    def __init__(
        self,
        program: Program,
        code: Code,
        bounds: Bounds,
        batch: Batch,
        observe: Observer | None,
    ) -> None:
        self._program = program
        self._bounds = bounds
        self._code = code
        self._observe = observe
        self._rows = len(batch)
        memory = Memory()
        rows = max(len(batch), 1)
        self._arena = Arena(code, memory, batch, slots=rows, max_steps=0)
        self._call = Call(RUN, memory, self._arena.address)
        self._sentence = np.arange(len(batch), dtype=np.int32)
        self._position = 0
        self._run(code.encoder)
        self._report(program.encoder)
        for state in program.states:
            if state.domain != "history":
                self._arena.value(state.value, self._rows)[...] = 0

    def step(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """See `Session.step`."""
        check_decodes(self._program)
        ids = ids_of_rows(ids, len(self._sentence))
        self._bounds.check_ids(ids)
        self._bounds.check_length(self._position + 1, "a translation")
        arena, rows = self._arena, len(self._sentence)
        arena.set_rows("target", rows)
        arena.reserve_steps(self._position + 1)
        arena.set_rows("history", self._position + 1)
        arena.value("target.ids", rows)[...] = ids
        arena.value("target.positions", rows)[...] = self._position
        arena.value("target.sentence", rows)[...] = self._sentence
        self._run(self._code.decoder)
        self._report(self._program.decoder)
        self._position += 1
        return arena.value(self._program.logits, rows).copy()

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        """See `Session.select`."""
        rows = places_of_rows(rows, len(self._sentence))
        states = {
            s.value: self._arena.value(s.value, len(self._sentence))[rows]
            for s in self._program.states
        }
        self._sentence = self._sentence[rows]
        self._arena.reserve_targets(len(rows))
        for name, state in states.items():
            self._arena.set_value(name, state)

    def _run(self, code: Int64) -> None:
        self._call.set(code=code.ctypes.data, code_rows=len(code))
        self._call.run()

    def _report(self, sequence: Sequence[Any]) -> None:
        if self._observe is None:
            return
        for instruction in sequence:
            for name in instruction.names("result"):
                self._observe(name, self._arena.value(name).copy())
