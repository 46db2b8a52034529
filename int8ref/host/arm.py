"""Detects dot products of 8-bit integers (SDOT) on ARM CPUs, because LLVM does not report them.

Linux reports the feature in its description of the CPU.  macOS reports it as a value of the kernel.
Windows reports it through a function.
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
    """Return whether the CPU has SDOT.  `described`: lines of Linux's description of the CPU."""
    if sys.platform == "darwin":
        return _macos_value(MACOS_VALUE) == 1
    if sys.platform == "win32":
        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(WINDOWS_FEATURE))
    found = (line.partition(":") for line in described)
    return any(
        name.strip() == "Features" and LINUX_NAME in names.split() for name, _, names in found
    )


def _macos_value(name: bytes) -> int:
    """Return a value of the macOS kernel, or 0 if the kernel has no value of this name."""
    value = ctypes.c_int(0)
    size = ctypes.c_size_t(ctypes.sizeof(value))
    library = ctypes.CDLL(None)
    if library.sysctlbyname(name, ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t()):
        return 0
    return value.value
