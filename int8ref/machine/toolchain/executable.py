"""Executable memory, also on systems that forbid some ways to get it.

A process usually may write memory and then make it executable.  Hardened systems (SELinux without
`execmem`, systemd's `MemoryDenyWriteExecute`) forbid this.  Most of them let a process execute a
mapped file.  The file then replaces the memory.
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
    """Address of the memory."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def check() -> None:
    """Raises OSError if Linux does not let this process execute memory that it has written.

    On other systems LLVM may have its own ways.
    """
    if sys.platform == "linux":
        _protect(mmap.mmap(-1, mmap.PAGESIZE))


def make(memory: mmap.mmap) -> None:
    """Make anonymous memory readable and executable, and no longer writable.  Raises OSError."""
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
    """Replace memory by a mapped file with the same content."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    start, size = ctypes.c_void_p(address(memory)), ctypes.c_size_t(_pages(memory))
    rights, kind = mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE | FIXED
    if library.mmap(start, size, rights, kind, descriptor, ctypes.c_long(0)) != start.value:
        raise _failure()


def _files() -> Iterator[BinaryIO]:
    """Yield files without a name: in memory, in the folder of temporary files, in the cache
    folder."""
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
    """Size of the memory in whole pages, in bytes."""
    return -(-len(memory) // mmap.PAGESIZE) * mmap.PAGESIZE
