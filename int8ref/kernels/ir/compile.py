"""How every kernel is compiled: one decorator, so that no kernel can choose other arithmetic.

nogil=True            sentences run in parallel threads
error_model="numpy"   no Python exceptions inside, so that the object code needs no interpreter
_nrt=False            nothing is allocated or counted, so that it needs no run-time library either
inline="always"       a kernel becomes part of its caller before types are inferred: Numba optimises
                      every function with all it calls from scratch, so few of them compile fastest
no fastmath           there is nothing to relax: integers only
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import config, njit

from int8ref.host.cpu import cpu

_, config.CPU_NAME, config.CPU_FEATURES = cpu()  # of which Numba may not know all

OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}

kernel: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(**OPTIONS, inline="always")
