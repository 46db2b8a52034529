"""Independent parts of a result in parallel threads.

The parts do not depend on the number of threads, therefore the result does not either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from int8ref.host.processors import processors

Part = TypeVar("Part")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(processors(), thread_name_prefix="importer")


def in_threads(work: Callable[[Part], object], parts: Iterable[Part]) -> None:
    """Run work(part) for every part, on all processors."""
    listed = list(parts)
    if len(listed) == 1 or processors() == 1:
        for part in listed:
            work(part)
        return
    list(_pool().map(work, listed))
