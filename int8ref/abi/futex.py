"""Linux's futex: how a thread sleeps until another thread wakes it, without a library.

On other systems threads cannot sleep in native code, and no call has several threads.
"""

from __future__ import annotations

import platform
import sys

MACHINE = platform.machine()
WAIT, WAKE = 128, 129
"""Linux's FUTEX_WAIT and FUTEX_WAKE, for the threads of one process."""
SLEEP_NANOSECONDS = 20_000_000
"""Longest sleep."""
SYSCALLS = {
    "x86_64": (202, "syscall", "={rax},0,{rdi},{rsi},{rdx},{r10},~{rcx},~{r11},~{memory}"),
    "aarch64": (98, "svc #0", "={x0},{x8},0,{x1},{x2},{x3},~{memory}"),
}
"""Number of the system call futex, the instruction, and its registers, by architecture."""
PAUSES = {"x86_64": "pause", "aarch64": "yield"}
SLEEPS = sys.platform == "linux" and sys.maxsize > 1 << 32 and MACHINE in SYSCALLS
"""Whether threads can sleep here.  Where they cannot, no call has several threads."""
