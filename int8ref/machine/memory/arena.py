"""The values of one batch: a piece of memory for each domain, the workspace, and a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.abi.frame import FRAME
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.model.assemble import Code
from int8ref.machine.model.places import Place
from int8ref.program.inputs import Batch, source_inputs
from int8ref.reference.attention import BLOCK_KEYS
from int8ref.spec.operands import OFFSETS
from int8ref.spec.scope import Domain

ROW_ALIGNMENT = 16
PAGE_STEPS = BLOCK_KEYS
"""Steps of a page of a long history.  A block of keys then lies in one page, if no window moves the
blocks."""


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
        frame.view(np.int64)[...] = 0
        self._frame["shares"] = 1
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
        self._keys = max(max(map(len, batch), default=0), int(self._frame["max_steps"]))
        self._reserve_workspace(max(tokens, self._target_capacity()))

    def set_rows(self, domain: Domain, rows: int) -> None:
        """Set the number of used rows of a domain; for "history", the steps of each row."""
        self._frame[f"{domain}_rows"] = rows
        if domain == "history":
            self._steps[...] = rows - 1

    def place_rows(self, slots: npt.NDArray[np.int32], steps: npt.NDArray[np.int32]) -> None:
        """Make each target row a step of the history of a slot: see `abi.frame`."""
        self.set_rows("target", len(slots))
        self._slot_of[: len(slots)] = slots
        self._steps[: len(steps)] = steps

    @property
    def workspace_bytes(self) -> int:
        """Size of the scratch memory."""
        return self._workspace_bytes

    @property
    def target_capacity(self) -> int:
        """Number of target rows that there is room for."""
        return self._target_capacity()

    def set_team(self, team: int) -> None:
        """Let the instructions run in the parts of a team (`abi.team`)."""
        self._frame["team"] = team

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
            kept = {name: self.value(name) for name in names.values()}
            self._reserve_history(max(steps, 2 * most))
            for name, array in kept.items():
                self.set_value(name, array)
            self._keys = max(self._keys, int(self._frame["max_steps"]))
            self._reserve_workspace(self._target_capacity())

    def value(self, name: str, rows: int | None = None) -> npt.NDArray[Any]:
        """A value as a view of the arena: [rows, width], or [rows] where its width is 0.

        A history is a copy, [rows, steps, width]: its rows do not lie one after the other
        (`abi.frame`).
        """
        place = self._code.places[name]
        current = int(self._frame[f"{place.domain}_rows"]) + (name == OFFSETS)
        if place.domain == "history":
            count = int(self._frame["target_rows"]) if rows is None else rows
            found = self._pages(name, count).swapaxes(2, 3)
            return found.reshape(count, int(self._frame["max_steps"]), place.width)[:, :current]
        count = current if rows is None else rows
        flat = self._flat(place, count)
        return flat.reshape(count, place.width) if place.width else flat

    def set_value(self, name: str, content: npt.NDArray[Any] | int) -> None:
        """Write the first rows of a value; of a history the first steps too."""
        if self._code.places[name].domain != "history":
            self.value(name, None if isinstance(content, int) else len(content))[...] = content
            return
        assert isinstance(content, np.ndarray)
        rows, steps, _ = content.shape
        pages = self._pages(name, rows)
        pieces, page, pitch = pages.shape[2:]
        for first in range(0, steps, page or 1):
            part = content[:, first : first + page]
            part = part.reshape(rows, part.shape[1], pieces, pitch)
            pages[:, first // page, :, : part.shape[1]] = part.swapaxes(1, 2)

    def _pages(self, name: str, rows: int) -> npt.NDArray[Any]:
        """The histories of the first slots: [rows, pages, pieces, page_steps, pitch]."""
        place, page = self._code.places[name], int(self._frame["page_steps"])
        most, pitch = int(self._frame["max_steps"]), self._code.pitches.get(name, place.width)
        flat = self._flat(place, rows * most)
        pages = most // page if page else 0
        return flat.reshape(rows, pages, place.width // pitch, page, pitch)

    def _flat(self, place: Place, rows: int) -> npt.NDArray[Any]:
        """The elements of the first rows of a value."""
        start = place.prefix * int(self._frame[f"{place.domain}_capacity"])
        size = rows * max(place.width, 1) * place.item
        return self._pieces[place.domain][start : start + size].view(f"i{place.item}")

    def _reserve_targets(self, rows: int) -> None:
        """Make room for `rows` target rows; the old content is lost."""
        self._reserve("target", rows)
        shape = (self._target_capacity(),)
        self._slot_of, self._frame["slots"] = self._memory.array(shape, np.int32)
        self._slot_of[...] = np.arange(len(self._slot_of))
        self._steps, self._frame["steps"] = self._memory.array(shape, np.int32)
        self._steps[...] = int(self._frame["history_rows"]) - 1

    def _reserve_history(self, steps: int) -> None:
        """Make room for `steps` steps of each slot; the old content is lost."""
        used = self._frame["history_rows"]
        most = steps if self._code.row_bytes["history"] else 0
        page = min(most, PAGE_STEPS)
        most = -(-most // page) * page if page else 0
        self._reserve("history", self._slots * most)
        self._frame["history_rows"], self._frame["max_steps"] = used, most
        self._frame["page_steps"] = page

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
        size = self._code.workspace_bytes(rows, self._keys)
        if size > self._workspace_bytes:
            self._workspace_bytes = size
            _, self._frame["workspace"] = self._memory.array((size,), np.uint8)
