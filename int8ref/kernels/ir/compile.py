"""The decorator of every kernel.  One decorator fixes the arithmetic of all kernels.

nogil=True            sentences run in parallel threads
error_model="numpy"   no Python exceptions, so that the object code needs no interpreter
_nrt=False            no allocation and no reference counts, so that the object code needs no
                      run-time library
inline="always"       a kernel becomes part of its caller before type inference; few functions
                      compile fastest, because Numba optimises each function with all its callees
no fastmath           integers have nothing to relax
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import config, njit

from int8ref.host.cpu import cpu

_, config.CPU_NAME, config.CPU_FEATURES = cpu()  # Numba may not know all features

OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}

kernel: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(**OPTIONS, inline="always")
