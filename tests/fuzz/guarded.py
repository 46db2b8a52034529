"""Arrays between guard pages: an access one byte beyond an array ends the process."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
NOTHING = 0


def guarded(shape: tuple[int, ...], dtype: DTypeLike, alignment: int = 1) -> Array:
    """Return an array that ends at a guard page.  Another guard page is before the array.

    A guard page can be neither read nor written.  The address is a multiple of `alignment`.  Fewer
    than `alignment` bytes are between the array and the guard page.  The array is filled with bytes
    0x5A.
    """
    kind = np.dtype(dtype)
    size = -(-max(kind.itemsize * int(np.prod(shape)), 1) // alignment) * alignment
    room = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    mapped = mmap.mmap(-1, room + 2 * mmap.PAGESIZE)
    whole = np.frombuffer(mapped, np.uint8)
    whole[mmap.PAGESIZE : mmap.PAGESIZE + room] = 0x5A
    for page in (0, mmap.PAGESIZE + room):
        if _LIBC.mprotect(whole.ctypes.data + page, mmap.PAGESIZE, NOTHING):
            raise OSError(ctypes.get_errno(), "mprotect")
    return np.ndarray(shape, kind, whole, mmap.PAGESIZE + room - size)


def copied(array: Array) -> Array:
    """Return a copy between guard pages."""
    found = guarded(array.shape, array.dtype)
    found[...] = array
    return found


class GuardedArrays(dict[str, Array]):
    """Arrays by name.  Each stored array becomes a copy between guard pages."""

    def __setitem__(self, name: str, array: Array) -> None:
        super().__setitem__(name, copied(array))

    def __ior__(self, others: dict[str, Array]) -> GuardedArrays:  # type: ignore[override,misc]
        for name, array in others.items():
            self[name] = array
        return self


class GuardedMemory:
    """Replaces `machine.memory.Memory`.  Each piece is between guard pages."""

    def __init__(self) -> None:
        self._pieces: list[Array] = []

    def array(self, shape: tuple[int, ...], kind: DTypeLike) -> tuple[Array, int]:
        """Implement `Memory.array`."""
        piece = guarded(shape, kind, alignment=64)
        self._pieces.append(piece)
        return piece, piece.ctypes.data

    def clear(self, most: int) -> None:
        """Implement `Memory.clear`."""
        self._pieces.clear()
