"""A batch that runs while texts enter and leave it, for a service.

The native loop of greedy search and of sampling reads the number of texts at every step
(`machine.loop.texts`).  Therefore a text can enter while the loop runs: its request is written
first, and then the number of texts grows.  The tokens of a text can be read while the loop runs.  A
text depends only on its own request, so that neither its neighbours nor the time of its entry
change its tokens.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.abi.call import GREEDY, SAMPLE
from int8ref.engines.calls import Call
from int8ref.engines.compiled import BLOCK_ROWS, CompiledEngine
from int8ref.engines.text_batch import SEATS_PER_ROW, Seen
from int8ref.machine.memory import adjustments
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.memory.arena import Arena
from int8ref.search.hypothesis import Sampling
from int8ref.search.request import Request, check_no_candidates, check_records
from int8ref.search.sampling import random_numbers

SEAT_WORDS = 1 << 22
"""Largest number of int32 that a table of all seats holds, if there are as many seats as rows."""


class RunningBatch:
    """A `TextBatch` of a decoder alone.

    engine    the engine of a decoder whose only states are histories
    sampling  how tokens are drawn, without the seed; None: greedy search
    adjusted  whether requests may have adjustments of their logits
    rows      largest number of texts that are computed at once

    Raises ValueError for another program.
    """

    def __init__(
        self, engine: CompiledEngine, sampling: Sampling | None, rows: int, adjusted: bool = False
    ) -> None:
        self._adjusted, self._program = adjusted, engine.program
        self._steps = engine.max_steps
        if not engine.takes_up_texts:
            raise ValueError("texts can enter a running batch only of a decoder with histories")
        self._vocabulary, self._drawn = engine.vocabulary, sampling is not None
        self._lock = threading.Lock()
        self._count = 0
        rows = min(rows, engine.footprint.sentences([Request((), self._steps)] * rows))
        self._seats = min(rows * SEATS_PER_ROW, max(rows, SEAT_WORDS // self._steps))
        mode = GREEDY if sampling is None else SAMPLE
        self._memory = Memory()
        code, fields = engine.decoding(candidates=False, fused=sampling is None and not adjusted)
        self._arena = Arena(
            code, self._memory, [[]] * self._seats, rows, self._steps, rows + BLOCK_ROWS
        )
        self._arena.set_rows("sentence", 0)
        self._call = Call(mode, self._memory, self._arena.address, self._steps)
        self._call.set(block=BLOCK_ROWS, free_count=rows, **fields)
        self._make_room(engine, rows)
        if sampling is not None:
            engine.give_sampling(self._call, sampling)

    def _make_room(self, engine: CompiledEngine, rows: int) -> None:
        """Make the tables of the call, which have a row for each seat."""
        call, seats = self._call, self._seats
        engine.give_surroundings(call, rows, [engine.program.start] * seats)
        self._lengths, self._ended, self._limits, self._given_lengths = (
            _zeroed(call.room(name, (seats,)))
            for name in ("lengths", "ended", "limits", "given_lengths")
        )
        self._out, self._given = (
            call.room(name, (seats, self._steps)) for name in ("out", "given")
        )
        if self._adjusted:
            self._records, address = adjustments.none(call.memory, seats)
            stage = adjustments.stage(call.memory, self._vocabulary, self._steps, rows)
            call.set(adjustments=address, stage=stage)
        if self._drawn:
            self._random = call.room("random", (seats, self._steps))

    def enter(self, request: Request, seed: int = 0) -> int | None:
        """See `TextBatch.enter`."""
        check_records(Request, [request], self._vocabulary)
        check_no_candidates([request])
        if request.adjustments is not None and not self._adjusted:
            raise ValueError("the batch takes no adjustments")
        if request.steps > self._steps:
            raise IndexError(f"{request.steps} steps: the program has {self._steps} positions")
        with self._lock:
            place = self._count
            if place == self._seats:
                return None
            self._given[place, : len(request.prefix)] = request.prefix
            self._given_lengths[place] = len(request.prefix)
            self._limits[place] = request.limit
            if self._drawn:
                drawn = random_numbers(seed, [request.number], request.limit)
                self._random[place, : request.limit] = drawn[0]
            if request.adjustments is not None:
                softmax, ends = self._program.softmax, self._program.ends
                self._records[place] = adjustments.record(
                    self._memory, request.adjustments, softmax, ends, self._vocabulary
                )
            self._count += 1
        # The lock was released: its release orders the stores above before the next one.
        with self._lock:
            self._arena.set_rows("sentence", self._count)
        return place

    def end(self, place: int) -> None:
        """See `TextBatch.end`."""
        self._limits[place] = 0

    def seen(self, places: Sequence[int]) -> list[Seen]:
        """See `TextBatch.seen`."""
        ended = self._ended[places].tolist()
        with self._lock:  # orders the loads: the tokens are read after `ended`
            lengths = self._lengths[places].tolist()
        return [
            Seen(self._out[place, :length].tolist(), bool(end))
            for place, length, end in zip(places, lengths, ended, strict=True)
        ]

    def run(self) -> None:
        """See `TextBatch.run`."""
        self._call.run()

    @property
    def waits(self) -> bool:
        """See `TextBatch`."""
        return not self._ended[: self._count].all()


def _zeroed(array: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    array[...] = 0
    return array
