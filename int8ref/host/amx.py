"""The permission to use the matrix tiles of x86 (AMX), which Linux gives to a process that asks."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

ARCH_PRCTL = 158
"""Number of the system call on x86-64."""
ASK, TILE_DATA = 0x1023, 18
"""ARCH_REQ_XCOMP_PERM, and the state that holds the tiles."""
FEATURES = ("amx-int8", "amx-tile")


@cache
def allowed() -> bool:
    """Ask the operating system once.  Return whether all threads of this process may use tiles.

    Without the permission, the first instruction ends the process.
    """
    if sys.platform != "linux":
        return False
    try:
        system_call = ctypes.CDLL(None).syscall
    except (OSError, AttributeError):
        return False
    system_call.restype = ctypes.c_long
    return int(system_call(ARCH_PRCTL, ASK, TILE_DATA)) == 0


def without(features: str) -> str:
    """Return LLVM's features, but refuse the features of the tiles."""
    wanted = {f"+{name}" for name in FEATURES}
    return ",".join(f"-{f[1:]}" if f in wanted else f for f in features.split(","))


def wanted(features: str) -> bool:
    """Whether code for these features may use the tiles."""
    return {f"+{name}" for name in FEATURES} <= set(features.split(","))
