"""Runs checks in a child process, which a fault may end."""

from __future__ import annotations

import os
import resource
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path


def in_a_child(
    check: Callable[[int], str], seeds: range, seconds: int, memory: int
) -> Counter[str]:
    """Count the outcomes of the checks of these seeds.  A child process runs them and may crash.

    A check takes at most `seconds` of processor time.  The child takes at most `memory` bytes of
    address space beyond the address space that it has at first.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (size + memory, size + memory))
        for seed in seeds:
            os.write(write, f"{seed} ".encode())
            signal.setitimer(signal.ITIMER_PROF, seconds)
            os.write(write, f"{check(seed)}\n".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        lines = pipe.read().splitlines()
    _, status = os.waitpid(child, 0)
    if status or len(lines) != len(seeds):
        raise SystemExit(f"{lines[-1:]}: the process ended with the status {status}")
    return Counter(line.split()[1] for line in lines)
