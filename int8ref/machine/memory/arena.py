"""The values of one batch: a piece of memory for each domain, the workspace, and a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.abi.frame import FRAME
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.model.assemble import Code
from int8ref.program.inputs import Batch, source_inputs
from int8ref.spec.operands import OFFSETS
from int8ref.spec.scope import Domain

ROW_ALIGNMENT = 16


class Arena:
    """Memory for all values of a batch, with its source inputs; `address` is the address of the
    frame.

    There are `slots` histories, each with room for `max_steps` steps, or for none if the program
    has no history.  At first, row r of the target belongs to slot r.  There is room for
    `target_rows` rows of the target, one for each slot if it is not given.
    """

    def __init__(
        self,
        code: Code,
        memory: Memory,
        batch: Batch,
        slots: int,
        max_steps: int,
        target_rows: int = 0,
    ) -> None:
        self._code = code
        self._memory = memory
        frame, self.address = memory.array((1,), FRAME)
        self._frame: Any = frame[0]
        self._frame["history_rows"] = 0
        self._pieces: dict[Domain, npt.NDArray[np.uint8]] = {}
        inputs = source_inputs(batch, code.takes_source)
        tokens = len(inputs["source.ids"])
        self._reserve("source", tokens)
        self._reserve("sentence", len(batch) + 1)  # the offsets have one number more
        self.set_rows("sentence", len(batch))
        self._slots = slots
        self._reserve_targets(max(slots, target_rows))
        self._reserve_history(max_steps)
        for name, array in inputs.items():
            self.value(name)[...] = array
        self._workspace_bytes = 0
        self._reserve_workspace(max(tokens, self._target_capacity()))

    def set_rows(self, domain: Domain, rows: int) -> None:
        """Set the number of used rows of a domain; for "history", the steps of each row."""
        self._frame[f"{domain}_rows"] = rows
        if domain == "history":
            self._steps[...] = rows - 1

    def reserve_targets(self, rows: int) -> None:
        """Make room for `rows` target rows, each with a slot.  If the memory grows, the values of
        the rows are lost."""
        if rows > self._target_capacity():
            self._reserve_targets(rows)
            self._reserve_workspace(self._target_capacity())
        if rows > self._slots:
            self._slots = rows
            self._reserve_history(int(self._frame["max_steps"]))
        self.set_rows("target", rows)

    def reserve_steps(self, steps: int) -> None:
        """Make room for `steps` steps of every history.  If the memory grows, it at least
        doubles."""
        most = int(self._frame["max_steps"])
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
        capacity = int(self._frame[f"{place.domain}_capacity"])
        current = int(self._frame[f"{place.domain}_rows"]) + (name == OFFSETS)
        per_row, steps = (int(self._frame["max_steps"]), current) if history else (1, 1)
        count = int(self._frame["target_rows"] if history else current) if rows is None else rows
        start = place.prefix * capacity
        size = count * per_row * max(place.width, 1) * place.item
        flat = self._pieces[place.domain][start : start + size].view(f"i{place.item}")
        if history:
            return flat.reshape(count, per_row, place.width)[:, :steps]
        return flat.reshape(count, place.width) if place.width else flat

    def _reserve_targets(self, rows: int) -> None:
        """Make room for `rows` target rows; the old content is lost."""
        self._reserve("target", rows)
        shape = (self._target_capacity(),)
        slots, self._frame["slots"] = self._memory.array(shape, np.int32)
        slots[...] = np.arange(len(slots))
        self._steps, self._frame["steps"] = self._memory.array(shape, np.int32)
        self._steps[...] = int(self._frame["history_rows"]) - 1

    def _reserve_history(self, steps: int) -> None:
        """Make room for `steps` steps of each slot; the old content is lost."""
        used = self._frame["history_rows"]
        most = steps if self._code.row_bytes["history"] else 0
        self._reserve("history", self._slots * most)
        self._frame["history_rows"], self._frame["max_steps"] = used, most

    def _reserve(self, domain: Domain, rows: int) -> None:
        capacity = -(-max(rows, 1) // ROW_ALIGNMENT) * ROW_ALIGNMENT
        size = capacity * self._code.row_bytes[domain]
        self._pieces[domain], address = self._memory.array((size,), np.uint8)
        named = {"base": address, "capacity": capacity, "rows": rows}
        for word, content in named.items():
            self._frame[f"{domain}_{word}"] = content

    def _target_capacity(self) -> int:
        """Number of target rows that there is room for, without another reservation."""
        return int(self._frame["target_capacity"])

    def _reserve_workspace(self, rows: int) -> None:
        """Make sure that there is scratch memory for `rows` rows."""
        size = self._code.workspace_bytes(rows)
        if size > self._workspace_bytes:
            self._workspace_bytes = size
            _, self._frame["workspace"] = self._memory.array((size,), np.uint8)
