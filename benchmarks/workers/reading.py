"""The speed at which a core reads warm memory: the limit of reading weights."""

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
"""Reads from the first address to the second.  The third parameter is the number of passes."""


class Engine:
    """Reads memory.

    work: {"bytes": a multiple of 256, "repeats": number of passes of a run}
    """

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
