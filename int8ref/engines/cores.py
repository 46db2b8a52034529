"""The cores of an engine, which its calls share.

A call takes the cores that no other call has.  When a further call begins and all cores are taken,
the largest team gives one back: its last helper leaves at its next look for work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np

from int8ref.abi.futex import SLEEPS
from int8ref.abi.team import MAX_THREADS


class Cores:
    """Deals out `count` cores.

    `most` is the largest number of threads that a call had, and `shared` the number of instructions
    that ran in several threads.
    """

    def __init__(self, count: int) -> None:
        self.count = count if SLEEPS else 1
        self.most = 1
        self.shared = 0
        self._teams: list[Team] = []
        self._lock = threading.Lock()

    @contextmanager
    def team(self) -> Iterator[Team]:
        """The team of a call; without a core that is free, the thread of the call alone."""
        with self._lock:
            used = sum(team.size for team in self._teams)
            size = min(max(1, self.count - used), MAX_THREADS)
            team = Team(size)
            self._teams.append(team)
            if used >= self.count:
                max(self._teams, key=lambda other: other.size).shrink()
        try:
            yield team
        finally:
            team.end()
            with self._lock:
                self._teams.remove(team)
                self.most = max(self.most, team.started)
                self.shared += team.shared


class Team:
    """The threads of a call, at most `size` of them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.started = 1
        self.shared = 0
        self._record: np.void | None = None
        self._threads: list[threading.Thread] = []

    def start(self, record: np.void, helpers: Sequence[Callable[[], object]]) -> None:
        """Start the helpers of the team with this record.  If the system gives no more threads,
        the team stays smaller."""
        self._record = record
        record["allowed"] = self.size - 1
        with suppress(RuntimeError):
            for helper in helpers:
                thread = threading.Thread(target=helper, name="int8ref helper", daemon=True)
                thread.start()
                self._threads.append(thread)
        self.started += len(self._threads)

    def shrink(self) -> None:
        """Give a core back."""
        if self.size > 1:
            self.size -= 1
            if self._record is not None:
                self._record["allowed"] = self.size - 1

    def end(self) -> None:
        """Let the helpers leave, and wait for them, because they use the memory of the call."""
        if self._record is None:
            return
        self._record["ended"] = 1  # already so, unless an exception came before the call
        for thread in self._threads:
            thread.join()
        self.shared = int(self._record["shared"])
        self._record = None
