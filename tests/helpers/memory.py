"""Arrays that show where somebody has written past their end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from int8ref.machine.memory.aligned import ALIGNMENT, Memory

GUARD = 256
"""Bytes behind a guarded array that nobody may touch."""


def guarded(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array with bytes of 0x5A in it and behind it: `array.base` ends with GUARD of them."""
    room = np.full(int(np.prod(shape)) * np.dtype(dtype).itemsize + GUARD, 0x5A, np.uint8)
    return np.ndarray(shape, dtype, buffer=room)


def assert_untouched_behind(*arrays: NDArray[Any]) -> None:
    """Nobody has written past the end of guarded arrays."""
    for array in arrays:
        assert array.base is not None
        assert (array.base[-GUARD:] == 0x5A).all(), "written past the end"


class WatchedMemory(Memory):
    """Memory whose pieces hold bytes of 0x5A, and are followed by some that nobody may touch."""

    def __init__(self) -> None:
        self._rooms: list[NDArray[Any]] = []
        self.given: list[tuple[tuple[int, ...], DTypeLike]] = []
        super().__init__()

    def array(self, shape: tuple[int, ...], kind: DTypeLike) -> tuple[NDArray[Any], int]:
        """See `Memory`."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        room = np.full(size + GUARD + ALIGNMENT, 0x5A, np.uint8)
        start = -room.ctypes.data % ALIGNMENT
        self.given.append((shape, kind))
        self._rooms.append(room[start : start + size + GUARD])
        return np.ndarray(shape, kind, room, start), room.ctypes.data + start

    def check(self) -> None:
        """Nothing was written behind a piece."""
        for room in self._rooms:
            assert (room[-GUARD:] == 0x5A).all(), "written past the end"
