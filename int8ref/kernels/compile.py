"""How every kernel is compiled: one decorator, so that no kernel can choose other arithmetic.

    nogil=True            sentences run in parallel threads
    error_model="numpy"   no Python exceptions inside, so that the object code needs no interpreter
    no fastmath           there is nothing to relax: integers only
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

OPTIONS = {"nogil": True, "error_model": "numpy"}

kernel: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(**OPTIONS)
