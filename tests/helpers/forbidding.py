"""Restricted systems, on Linux.

`forbid` forbids executable memory, as hardened systems do.  It works on x86-64 only, through a
filter of system calls.  The filter applies to the process and its children.  `mounted` provides a
small disk.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MMAP, MPROTECT = 9, 10
SUPPORTED = sys.platform == "linux" and platform.machine() == "x86_64"

LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER_AT, RIGHTS_AT = 0, 32
EXECUTE, EPERM = 4, 1
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | EPERM
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


def forbid(*calls: int) -> None:
    """Make these system calls fail if they ask for executable memory."""
    program = [(LOAD, 0, 0, NUMBER_AT)]
    for left, call in zip(range(len(calls), 0, -1), calls, strict=True):
        program.append((EQUAL, left, 0, call))
    program.append((RETURN, 0, 0, ALLOW))
    program += [(LOAD, 0, 0, RIGHTS_AT), (ANY_BIT, 1, 0, EXECUTE)]
    program += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    code = b"".join(struct.pack("<HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    filters = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(buffer))
    library = ctypes.CDLL(None, use_errno=True)
    told = ctypes.create_string_buffer(filters, len(filters))
    if library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or library.prctl(SECCOMP, FILTER, told, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter of system calls")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[list[str]]:
    """Mount a small file system in memory at `folder`.  Yield a prefix for a command.

    Skips the test if mounting is impossible.
    """
    folder.mkdir()
    fill = 'head -c 1G /dev/zero 2>&- > "$0/fill"'
    script = f'mount -t tmpfs -o {options} tmpfs "$0" && {fill}; exec "$@"'
    enter = ["unshare", "--mount", "sh", "-c", script, str(folder)]
    try:
        able = (
            subprocess.run(
                [*enter, "mountpoint", "-q", folder], capture_output=True, check=False
            ).returncode
            == 0
        )
    except OSError:
        able = False
    if not able:
        pytest.skip("no file system can be mounted here")
    yield enter
