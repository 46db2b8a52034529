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
    ROWS,
    WORKSPACE,
)

ROW_ALIGNMENT = 16
ALIGNMENT = 64


class Arena:
    """Room for all values of a batch, with its source inputs filled in."""

    def __init__(self, code: Code, batch: Batch, target_rows: int) -> None:
        self._code = code
        self.frame = np.zeros(FRAME_WORDS, np.int64)
        self._memory: dict[Domain, npt.NDArray[np.uint8]] = {}
        inputs = source_inputs(batch)
        self._reserve("source", len(inputs["source.ids"]))
        self._reserve("sentence", len(batch) + 1)
        self._reserve("target", target_rows)
        for name, array in inputs.items():
            self.value(name)[...] = array
        rows = max(len(inputs["source.ids"]), target_rows)
        self._workspace = aligned(code.workspace_bytes(rows))
        self.frame[WORKSPACE] = self._workspace.ctypes.data

    def set_rows(self, domain: Domain, rows: int) -> None:
        """How many rows of a domain are in use."""
        self.frame[3 * DOMAINS.index(domain) + ROWS] = rows

    def reserve_targets(self, rows: int) -> None:
        """Room for so many target rows; their values are lost if there was not."""
        if rows > self.frame[3 * DOMAINS.index("target") + CAPACITY]:
            self._reserve("target", rows)
            self._workspace = aligned(max(self._workspace.size, self._code.workspace_bytes(rows)))
            self.frame[WORKSPACE] = self._workspace.ctypes.data
        self.set_rows("target", rows)

    def value(self, name: str, rows: int | None = None) -> npt.NDArray[Any]:
        """A value as a view of the arena: [rows, width], or [rows] where its width is 0."""
        place = self._code.places[name]
        base, capacity, current = self.frame[3 * DOMAINS.index(place.domain) :][:3]
        del base
        count = int(current) if rows is None else rows
        start = place.prefix * int(capacity)
        size = count * max(place.width, 1) * place.item
        flat = self._memory[place.domain][start : start + size].view(f"i{place.item}")
        return flat.reshape(count, place.width) if place.width else flat

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
