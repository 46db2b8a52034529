"""Steps of given paths, which the compiled decoder runs in blocks of rows.

A row is one step of one path (`abi.frame`).  A block has rows of one path, or of several paths one
after another.  Equal sources are encoded once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

from int8ref.abi.call import RUN
from int8ref.engines.calls import Call
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.memory.arena import Arena
from int8ref.machine.model.assemble import Code
from int8ref.program.program import Program
from int8ref.search.decoder import Piece, distinct_sources
from int8ref.search.request import Path


class GivenSteps:
    """The steps of paths, path after path.

    sources  the different sources
    ids      the token that each step reads
    most     largest number of steps of a path
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.sources, owners = distinct_sources(path.ids for path in paths)
        inputs = [path.inputs for path in paths]
        lengths = [len(some) for some in inputs]
        self.ids = np.fromiter(chain.from_iterable(inputs), np.int32)
        self.most = max(lengths, default=0)
        self._path = np.repeat(np.arange(len(paths), dtype=np.int32), lengths)
        self._step = np.concatenate([np.arange(0), *map(np.arange, lengths)]).astype(np.int32)
        self._source = np.array(owners, np.int32)[self._path]

    def run(self, program: Program, code: Code, memory: Memory, rows: int) -> Iterator[Piece]:
        """Yield the logits of all steps (`Engine.logits`), from blocks of at most `rows` rows."""
        slots, rows = int(self._path[-1]) + 1, min(rows, len(self.ids))
        arena = Arena(code, memory, self.sources, slots, self.most, max(rows, slots))
        call = Call(RUN, memory, arena.address)
        call.set(code=code.encoder.ctypes.data, code_rows=len(code.encoder))
        call.run()
        call.set(code=code.decoder.ctypes.data, code_rows=len(code.decoder))
        for first in range(0, len(self.ids), rows):
            block = slice(first, first + rows)
            self._place(arena, block)
            call.run()
            count = len(self.ids[block])
            logits = arena.value(program.logits, count)
            yield from self._pieces(block, logits.copy())

    def _place(self, arena: Arena, block: slice) -> None:
        ids = self.ids[block]
        arena.place_rows(self._path[block], self._step[block])
        arena.value("target.ids", len(ids))[...] = ids
        arena.value("target.positions", len(ids))[...] = self._step[block]
        arena.value("target.sentence", len(ids))[...] = self._source[block]

    def _pieces(self, block: slice, logits: npt.NDArray[np.int32]) -> Iterator[Piece]:
        """Cut the logits of a block between paths."""
        paths, steps = self._path[block], self._step[block]
        cuts = [0, *(np.flatnonzero(np.diff(paths)) + 1).tolist(), len(paths)]
        for start, stop in pairwise(cuts):
            yield int(paths[start]), int(steps[start]), logits[start:stop]
