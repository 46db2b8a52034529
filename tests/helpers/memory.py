"""Arrays that detect writes beyond their end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from int8ref.machine.memory.aligned import ALIGNMENT, Memory

GUARD = 256
"""Number of guard bytes after an array."""


def guarded(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array filled with bytes 0x5A.  `array.base` ends with GUARD further bytes 0x5A."""
    room = np.full(int(np.prod(shape)) * np.dtype(dtype).itemsize + GUARD, 0x5A, np.uint8)
    return np.ndarray(shape, dtype, buffer=room)


def assert_untouched_behind(*arrays: NDArray[Any]) -> None:
    """Assert that the guard bytes of the arrays are unchanged."""
    for array in arrays:
        assert array.base is not None
        assert (array.base[-GUARD:] == 0x5A).all(), "written past the end"


class WatchedMemory(Memory):
    """Memory whose pieces are filled with bytes 0x5A.  Guard bytes follow each piece."""

    def __init__(self) -> None:
        self._rooms: list[NDArray[Any]] = []
        self.given: list[tuple[tuple[int, ...], DTypeLike]] = []
        super().__init__()

    def array(self, shape: tuple[int, ...], kind: DTypeLike) -> tuple[NDArray[Any], int]:
        """Implement `Memory.array`."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        room = np.full(size + GUARD + ALIGNMENT, 0x5A, np.uint8)
        start = -room.ctypes.data % ALIGNMENT
        self.given.append((shape, kind))
        self._rooms.append(room[start : start + size + GUARD])
        return np.ndarray(shape, kind, room, start), room.ctypes.data + start

    def check(self) -> None:
        """Assert that all guard bytes are unchanged."""
        for room in self._rooms:
            assert (room[-GUARD:] == 0x5A).all(), "written past the end"
