"""Whether an ARM CPU has dot products of 8-bit integers (SDOT), which LLVM does not tell of.

Each system tells it in its own way: Linux by a name in its description of the CPU, macOS by a value
of the kernel, Windows by a function.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence

LINUX_NAME = "asimddp"
MACOS_VALUE = b"hw.optional.arm.FEAT_DotProd"
WINDOWS_FEATURE = 43
"""PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE"""


def has_dot_products(described: Sequence[str]) -> bool:
    """Whether the CPU has them; `described`: the lines of Linux's description of it."""
    if sys.platform == "darwin":
        return _macos_value(MACOS_VALUE) == 1
    if sys.platform == "win32":
        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(WINDOWS_FEATURE))
    found = (line.partition(":") for line in described)
    return any(
        name.strip() == "Features" and LINUX_NAME in names.split() for name, _, names in found
    )


def _macos_value(name: bytes) -> int:
    """A value of the kernel of macOS; 0 where it has none of this name."""
    value = ctypes.c_int(0)
    size = ctypes.c_size_t(ctypes.sizeof(value))
    library = ctypes.CDLL(None)
    if library.sysctlbyname(name, ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t()):
        return 0
    return value.value
