"""The memory of a call: pieces are given out one after the other, and taken back together."""

from __future__ import annotations

from functools import reduce
from operator import mul
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64


class Memory:
    """Pieces begin at cache lines, and are not initialised.

    The next call uses the same memory again.  Reused memory is still in the CPU caches.  It also
    avoids an allocation and `array.ctypes`, which is slow.  Two threads must not use one `Memory`
    at once.
    """

    def __init__(self) -> None:
        self._outgrown: list[npt.NDArray[np.uint8]] = []
        self._used = self._size = 0
        self._reserve(0)

    def array(self, shape: tuple[int, ...], kind: npt.DTypeLike) -> tuple[npt.NDArray[Any], int]:
        """An uninitialised array, and its address."""
        dtype = np.dtype(kind)
        size = reduce(mul, shape, dtype.itemsize)
        start, self._used = self._used, self._used + -(-size // ALIGNMENT) * ALIGNMENT
        if self._used > self._size:
            self._outgrown.append(self._room)
            self._reserve(max(self._used, 3 * self._size >> 1))
            return self.array(shape, kind)
        return np.ndarray(shape, dtype, self._room, self._offset + start), self._address + start

    def clear(self, most: int) -> None:
        """Take all pieces back, and free the memory if it is larger than `most` bytes."""
        self._used = 0
        if self._size > most:
            self._reserve(0)
        self._outgrown.clear()

    def _reserve(self, size: int) -> None:
        self._room = np.empty(size + ALIGNMENT, np.uint8)
        start = self._room.ctypes.data
        self._offset = -start % ALIGNMENT
        self._address = start + self._offset
        self._used, self._size = 0, size
