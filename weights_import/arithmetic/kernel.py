"""The decorator of the importer's kernels.

nogil=True            rows are computed by parallel threads
error_model="numpy"   a division by zero gives an infinity
no fastmath           LLVM may neither reorder sums nor fuse a multiplication with an addition

A kernel is compiled once and kept in the cache folder.  The name of the folder there is a digest of
the sources of all kernels, because Numba looks only at the file of the kernel itself.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy
from numba import config, njit
from numba.core.caching import FunctionCache

from int8ref.host.cpu import compilers, cpu
from int8ref.host.storage import cache_folder

SOURCES = (
    Path(__file__).parent,
    Path(__file__).parents[1] / "operations",
    Path(__file__).parents[2] / "int8ref/kernels/ir",
)
DIGITS = 16
Function = Callable[..., Any]

_log = logging.getLogger(__name__)


def place() -> Path:
    """The folder of the compiled kernels."""
    state = hashlib.sha256(repr((compilers(), numpy.__version__)).encode())
    for folder in SOURCES:
        for path in sorted(folder.rglob("*.py")):
            state.update(path.read_bytes())
    return cache_folder() / f"importer-{state.hexdigest()[:DIGITS]}"


_, config.CPU_NAME, config.CPU_FEATURES = cpu()
config.CACHE_DIR = str(place())


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, without which the import goes on where files cannot be written or read."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with suppress(OSError, EOFError, ValueError):
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _log.debug("a kernel is not kept: %s", error)


def kernel(function: Function) -> Function:
    """The compiled form of a function."""
    made: Function = njit(nogil=True, error_model="numpy")(function)
    with suppress(OSError, RuntimeError, AttributeError):  # no folder, or NUMBA_DISABLE_JIT
        made._cache = _Cache(function)  # type: ignore[attr-defined]
    return made
