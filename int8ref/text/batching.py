"""An endless stream of items through batches and threads, results in the order of the items.

A reader thread runs ahead by a bounded number of items.  Whatever it has read is a window: the
window's items are sorted by length, cut into batches, and worked on by a pool of threads.  Nothing
waits for a window to fill, so a lone line on a pipe is answered at once, and fast input is batched.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

import msgspec

Item = TypeVar("Item")
Out = TypeVar("Out")

WINDOWS = 2
"""Windows that may be under way at once: the next keeps the threads busy while one ends."""


class Limits(msgspec.Struct, frozen=True):
    """How much is done at once.  No choice of these changes a result.

    batch_size   most items of a batch
    batch_total  most length of a batch, the sum of its items' (a single item may exceed it)
    read_ahead   most items read but not begun; a window is at most as large
    threads      batches worked on at once
    """

    batch_size: int
    batch_total: int
    read_ahead: int
    threads: int


class Reader(Generic[Item]):
    """Iterates over `items` in a thread of its own, at most `ahead` items ahead of the consumer.

    An exception of `items` ends the stream and is kept in `error`.
    """

    def __init__(self, items: Iterable[Item], ahead: int) -> None:
        self.done = False
        self.error: BaseException | None = None
        self._ahead = ahead
        self._queue: queue.Queue[list[Item]] = queue.Queue(ahead)
        self._closed = threading.Event()
        threading.Thread(target=self._run, args=(items,), daemon=True).start()

    def take(self, block: bool) -> list[Item]:
        """Items that have been read, at least one if `block`, none at the end of the stream."""
        window: list[Item] = []
        try:
            while not self.done and len(window) < self._ahead:
                item = self._queue.get(block and not window)
                window += item
                self.done = not item
        except queue.Empty:
            pass
        return window

    def close(self) -> None:
        """Let the thread end, as soon as `items` gives it back."""
        self._closed.set()
        self.take(block=False)

    def _run(self, items: Iterable[Item]) -> None:
        try:
            for item in items:
                self._queue.put([item])
                if self._closed.is_set():
                    return
        except BaseException as error:
            self.error = error
        self._queue.put([])


class Window(Generic[Item, Out]):
    """Items under way, and their results as far as there are any."""

    def __init__(
        self,
        items: list[Item],
        batches: list[list[int]],
        submit: Callable[[list[Item]], Future[list[Out]]],
    ) -> None:
        self.error: BaseException | None = None
        self._next = 0
        self._size = len(items)
        self._results: dict[int, Out] = {}
        self.futures = {submit([items[i] for i in batch]): batch for batch in batches}

    @property
    def finished(self) -> bool:
        """Whether every result has been taken."""
        return self._next == self._size

    def take(self) -> list[Out]:
        """The results that have no unfinished item before them, each once."""
        for future in [f for f in self.futures if f.done()]:
            batch = self.futures.pop(future)
            self.error = self.error or future.exception()
            if self.error is None:
                self._results.update(zip(batch, future.result(), strict=True))
        ready = []
        while self._next in self._results:
            ready.append(self._results.pop(self._next))
            self._next += 1
        return ready


def make_batches(lengths: Sequence[int], limits: Limits) -> list[list[int]]:
    """Indices of the items of each batch: long ones first, alike ones together.

    Few items are spread over all threads.
    """
    most = min(limits.batch_size, -(-len(lengths) // limits.threads))
    batches: list[list[int]] = []
    total = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        total += lengths[index]
        if not batches or len(batches[-1]) == most or total > limits.batch_total:
            batches.append([])
            total = lengths[index]
        batches[-1].append(index)
    return batches


def in_order(
    items: Iterable[Item],
    work: Callable[[list[Item]], list[Out]],
    length: Callable[[Item], int],
    limits: Limits,
) -> Iterator[list[Out]]:
    """The results of `work`, in the order of `items`, as soon as all before them are there.

    Yields non-empty lists of results.  No result waits for a later item to be read, so `items` may
    wait for the result of each before it gives the next.  `work` maps a batch to its results, in
    any thread; `items` is iterated in another.  When `items` or `work` raises, what comes before is
    still yielded where it is done, then the exception is raised.  Memory is bounded by `limits`.
    """
    pool = ThreadPoolExecutor(limits.threads)
    reader = Reader(items, limits.read_ahead)
    windows: deque[Window[Item, Out]] = deque()

    def submit(batch: list[Item]) -> Future[list[Out]]:
        return pool.submit(work, batch)

    try:
        while windows or not reader.done:
            busy = [f for window in windows for f in window.futures if not f.done()]
            if len(windows) < WINDOWS and len(busy) < limits.threads and not reader.done:
                taken = reader.take(block=not windows)
                if taken:
                    batches = make_batches([length(item) for item in taken], limits)
                    windows.append(Window(taken, batches, submit))
                    continue
            if busy:
                wait(busy, return_when=FIRST_COMPLETED)
            while windows:
                results = windows[0].take()
                if results:
                    yield results
                if windows[0].error is not None:
                    raise windows[0].error
                if not windows[0].finished:
                    break
                windows.popleft()
        if reader.error is not None:
            raise reader.error
    finally:
        reader.close()
        pool.shutdown(wait=False, cancel_futures=True)
