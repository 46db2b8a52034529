"""A call of the machine: its record, and the arrays that the record names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.abi.call import CALL, HELP
from int8ref.engines.cores import Team
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.memory.arena import Arena
from int8ref.machine.memory.team import room_for_team
from int8ref.machine.toolchain.native import machine
from int8ref.program.inputs import Batch
from int8ref.search.request import Path, Request


class Call:
    """The record of a call of at most `steps` steps, and the arrays whose addresses it holds."""

    def __init__(self, mode: int, memory: Memory, frame: int, steps: int = 0) -> None:
        self.memory = memory
        self.steps = steps
        self._record, self._address = memory.array((1,), CALL)
        self._record.view(np.int64)[...] = 0
        self.set(mode=mode, frame=frame, pitch=steps)
        self._team: tuple[Team, np.void, list[Callable[[], object]]] | None = None

    def help(self, arena: Arena, team: Team) -> None:
        """Let a team of more than one thread run this call."""
        if team.size < 2:
            return
        record, address = room_for_team(self.memory, arena, team.size)
        arena.set_team(address)
        self.set(team=address)
        records, first = self.memory.array((team.size,), CALL)
        records["mode"], records["team"] = HELP, address
        records["thread"] = range(team.size)
        run, size, memory = machine(), CALL.itemsize, self.memory
        helpers: list[Callable[[], object]] = [
            partial(_run_helper, run, first + n * size, memory) for n in range(1, team.size)
        ]
        self._team = team, record, helpers

    def set(self, **fields: int) -> None:
        """Write fields by name."""
        for name, content in fields.items():
            self._record[name] = content

    def room(
        self, name: str, shape: tuple[int, ...], kind: npt.DTypeLike = np.int32
    ) -> npt.NDArray[Any]:
        """An uninitialised array, whose address goes into field `name`."""
        array, self._record[name] = self.memory.array(shape, kind)
        return array

    def give(
        self, name: str, values: Sequence[int] | npt.NDArray[Any], kind: npt.DTypeLike = np.int32
    ) -> None:
        """Copy a vector to an array, whose address goes into field `name`."""
        self.room(name, (len(values),), kind)[...] = values

    def search(self, requests: Sequence[Request]) -> None:
        """Run the search: it begins after the prefixes and ends at the limits."""
        self._give_rows([request.given for request in requests])
        self.give("given_lengths", [len(request.prefix) for request in requests])
        self.give("limits", [request.limit for request in requests])
        self.run()

    def follow(self, requests: Sequence[Request]) -> list[list[int]]:
        """Run `search` for one translation of each sentence, and return the ids."""
        shape = len(requests), self.steps
        out, lengths = self.room("out", shape), self.room("lengths", shape[:1])
        self.room("ended", shape[:1])
        self.search(requests)
        return [row[:length].tolist() for row, length in zip(out, lengths, strict=True)]

    def score(self, paths: Sequence[Path]) -> list[list[int]]:
        """Follow the paths, and return the log-probabilities of their tokens."""
        self._give_rows([path.given for path in paths])
        self.give("given_lengths", [len(path.prefix) for path in paths])
        self.give("lengths", [path.steps for path in paths])
        out = self.room("out", (len(paths), self.steps))
        self.run()
        rows = zip(out, paths, strict=True)
        return [row[len(path.prefix) : path.steps].tolist() for row, path in rows]

    def run(self) -> None:
        """Run the machine on this call."""
        if self._team is not None:
            team, record, helpers = self._team
            team.start(record, helpers)
        machine()(self._address)

    def _give_rows(self, rows: Batch) -> None:
        """Copy the given tokens to the machine, one row for each sentence."""
        given = self.room("given", (len(rows), self.steps))
        for row, tokens in zip(given, rows, strict=True):
            row[: len(tokens)] = tokens


def _run_helper(run: Callable[[int], None], address: int, memory: Memory) -> None:
    """Help a call.  The argument keeps its memory alive."""
    run(address)
