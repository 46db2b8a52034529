"""Memory that code is run from, on systems that forbid some ways to it.

A process usually may write memory and then have it made executable.  Hardened systems (SELinux
without `execmem`, systemd's `MemoryDenyWriteExecute`) forbid that.  Most of them let a process run
what it maps from a file, which then takes the place of the memory.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from int8ref.host.storage import cache_folder

FIXED = 0x10
"""Linux's MAP_FIXED."""


def address(memory: mmap.mmap) -> int:
    """Where it lies."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def check() -> None:
    """Raises OSError where Linux lets no process run what it has written to memory.

    Elsewhere LLVM may have ways of its own.
    """
    if sys.platform == "linux":
        _protect(mmap.mmap(-1, mmap.PAGESIZE))


def make(memory: mmap.mmap) -> None:
    """Let anonymous memory be read and run, and no longer written.  Raises OSError."""
    try:
        _protect(memory)
    except OSError:
        for file in _files():
            with suppress(OSError), file:
                file.write(memory[:])
                file.flush()
                _replace(memory, file.fileno())
                return
        raise


def _protect(memory: mmap.mmap) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    rights = mmap.PROT_READ | mmap.PROT_EXEC
    start, size = ctypes.c_void_p(address(memory)), ctypes.c_size_t(_pages(memory))
    if library.mprotect(start, size, rights):
        raise _failure()


def _replace(memory: mmap.mmap, descriptor: int) -> None:
    """Map a file in the place of memory that has the same content."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    start, size = ctypes.c_void_p(address(memory)), ctypes.c_size_t(_pages(memory))
    rights, kind = mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE | FIXED
    if library.mmap(start, size, rights, kind, descriptor, ctypes.c_long(0)) != start.value:
        raise _failure()


def _files() -> Iterator[BinaryIO]:
    """Files without a name: in memory, where the system has temporary files, in the cache."""
    import tempfile

    if sys.platform == "linux":
        with suppress(OSError):
            yield os.fdopen(os.memfd_create("int8ref"), "wb")
    for folder in (None, cache_folder()):
        with suppress(OSError):
            descriptor, name = tempfile.mkstemp(dir=folder)
            os.unlink(name)
            yield os.fdopen(descriptor, "wb")


def _failure() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def _pages(memory: mmap.mmap) -> int:
    """Its size in whole pages."""
    return -(-len(memory) // mmap.PAGESIZE) * mmap.PAGESIZE
