"""How fast a core reads memory that it has read before: what weights can come at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import assembly

PACKAGES = ("llvmlite",)
STEP = 256
LOADS = "\n".join(f"vmovdqu {at}(%rax), %ymm{at // 32 % 8}" for at in range(0, STEP, 32))
READ = f""".globl read
read:
1:
mov %rdi, %rax
2:
{LOADS}
add ${STEP}, %rax
cmp %rsi, %rax
jb 2b
dec %rdx
jnz 1b
vzeroupper
ret
"""
"""Reads from the first address to the second as often as the third says."""


class Engine:
    """Work: {"bytes": a multiple of 256, "repeats": how often a run reads them}."""

    def __init__(self, options: dict[str, Any]) -> None:
        assembly.prepare()
        assembly.require("avx2")
        self._read = assembly.function("read", READ, 3)

    def prepare(self, work: dict[str, Any]) -> Callable[[], None]:
        content = np.ones(work["bytes"], np.int8)
        first, count = content.ctypes.data, work["repeats"]

        def run() -> None:
            self._read(first, first + content.size, count)

        return run
