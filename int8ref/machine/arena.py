"""The memory of one batch: a piece for each domain, the workspace, and a frame that says where."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.executor import Batch, source_inputs
from int8ref.instruction import Domain
from int8ref.machine.assemble import Code
from int8ref.machine.frame import (
    BASE,
    CAPACITY,
    DOMAINS,
    FRAME_WORDS,
    HISTORY,
    MAX_STEPS,
    ROWS,
    TARGET,
    WORKSPACE,
)

ROW_ALIGNMENT = 16
ALIGNMENT = 64


class Arena:
    """Room for all values of a batch, with its source inputs filled in.

    Histories have room for `max_steps` steps (none where the program has no history).
    """

    def __init__(self, code: Code, batch: Batch, target_rows: int, max_steps: int) -> None:
        self._code = code
        self.frame = np.zeros(FRAME_WORDS, np.int64)
        self._memory: dict[Domain, npt.NDArray[np.uint8]] = {}
        inputs = source_inputs(batch, code.takes_source)
        self._reserve("source", len(inputs["source.ids"]))
        self._reserve("sentence", len(batch) + 1)
        self._reserve("target", target_rows)
        self._reserve_history(max_steps)
        for name, array in inputs.items():
            self.value(name)[...] = array
        rows = max(len(inputs["source.ids"]), target_rows)
        self._workspace = aligned(code.workspace_bytes(rows))
        self.frame[WORKSPACE] = self._workspace.ctypes.data

    def set_rows(self, domain: Domain, rows: int) -> None:
        """How many rows of a domain are in use; of a history, how many steps."""
        self.frame[3 * DOMAINS.index(domain) + ROWS] = rows

    def reserve_targets(self, rows: int) -> None:
        """Room for so many target rows; their values are lost if there was not."""
        if rows > self.frame[TARGET + CAPACITY]:
            self._reserve("target", rows)
            self._reserve_history(int(self.frame[MAX_STEPS]))
            self._workspace = aligned(max(self._workspace.size, self._code.workspace_bytes(rows)))
            self.frame[WORKSPACE] = self._workspace.ctypes.data
        self.set_rows("target", rows)

    def reserve_steps(self, steps: int) -> None:
        """Room for so many steps of every history: twice as many as there was, if need be."""
        most = int(self.frame[MAX_STEPS])
        if steps > most and self._code.row_bytes["history"]:
            places = self._code.places.items()
            names = {place.prefix: name for name, place in places if place.domain == "history"}
            kept = {name: self.value(name).copy() for name in names.values()}
            self._reserve_history(max(steps, 2 * most))
            for name, array in kept.items():
                self.value(name)[...] = array

    def value(self, name: str, rows: int | None = None) -> npt.NDArray[Any]:
        """A value as a view of the arena: [rows, width], or [rows] where its width is 0.

        A history is [rows, steps, width].
        """
        place = self._code.places[name]
        history = place.domain == "history"
        _, capacity, current = (int(x) for x in self.frame[3 * DOMAINS.index(place.domain) :][:3])
        per_row, steps = (int(self.frame[MAX_STEPS]), current) if history else (1, 1)
        count = int(self.frame[TARGET + ROWS] if history else current) if rows is None else rows
        start = place.prefix * capacity
        size = count * per_row * max(place.width, 1) * place.item
        flat = self._memory[place.domain][start : start + size].view(f"i{place.item}")
        if history:
            return flat.reshape(count, per_row, place.width)[:, :steps]
        return flat.reshape(count, place.width) if place.width else flat

    def _reserve_history(self, steps: int) -> None:
        """Room for so many steps of each target row; what was there is lost."""
        used = self.frame[HISTORY + ROWS]
        most = steps if self._code.row_bytes["history"] else 0
        self._reserve("history", int(self.frame[TARGET + CAPACITY]) * most)
        self.frame[[HISTORY + ROWS, MAX_STEPS]] = used, most

    def _reserve(self, domain: Domain, rows: int) -> None:
        capacity = -(-max(rows, 1) // ROW_ALIGNMENT) * ROW_ALIGNMENT
        memory = aligned(capacity * self._code.row_bytes[domain])
        self._memory[domain] = memory
        at = 3 * DOMAINS.index(domain)
        self.frame[at + BASE] = memory.ctypes.data
        self.frame[at + CAPACITY] = capacity
        self.frame[at + ROWS] = rows


def aligned(size: int) -> npt.NDArray[np.uint8]:
    """Uninitialised bytes that begin at a cache line."""
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size]
