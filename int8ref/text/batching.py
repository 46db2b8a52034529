"""Processes a stream of items in batches and threads, with results in the order of the items.

The stream may be endless.  A reader thread reads a bounded number of items ahead.  The items that
have been read form a window.  The items of a window are sorted by length and cut into batches.  A
pool of threads works on the batches.  A window never waits for more items.  Therefore a single line
on a pipe gets its answer at once, and fast input is batched.
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
"""Largest number of open windows.  The second one keeps the threads busy while the first ends."""


class BatchLimits(msgspec.Struct, frozen=True):
    """Sizes of batches and of the read-ahead.  No limit changes a result.

    batch_size   largest number of items of a batch
    batch_total  largest sum of the lengths of the items of a batch.  A single item may exceed it.
    read_ahead   largest number of items that are read and not yet in a window.  It is also the
                 largest number of items of a window.
    threads      number of batches that are computed at once
    """

    batch_size: int
    batch_total: int
    read_ahead: int
    threads: int


class ReadAhead(Generic[Item]):
    """Iterates over `items` in its own thread, at most `ahead` items before the consumer.

    An exception of `items` ends the stream.  `error` stores the exception.
    """

    def __init__(self, items: Iterable[Item], ahead: int) -> None:
        self.done = False
        self.error: BaseException | None = None
        self._ahead = ahead
        self._queue: queue.Queue[list[Item]] = queue.Queue(ahead)
        self._closed = threading.Event()
        threading.Thread(target=self._run, args=(items,), daemon=True).start()

    def take(self, block: bool) -> list[Item]:
        """Return the items that have been read.  With `block`, wait for at least one item.

        An empty list with `block` means the end of the stream.
        """
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
        """Ask the thread to end.  The thread ends after `items` yields its next item."""
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
    """Items in progress, and the results that are ready."""

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
        """True if every result has been taken."""
        return self._next == self._size

    def take(self) -> list[Out]:
        """Return each result once, as soon as it and all earlier results are ready."""
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


def make_batches(lengths: Sequence[int], limits: BatchLimits) -> list[list[int]]:
    """Return the indices of the items of each batch, sorted by falling length.

    A small number of items is distributed over all threads.
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


def together(
    items: Sequence[Item],
    work: Callable[[list[Item]], list[Out]],
    length: Callable[[Item], int],
    limits: BatchLimits,
) -> list[Out]:
    """Return the results of `work` in the order of `items`, computed in the calling thread.

    The arguments are the arguments of `in_order`.
    """
    found = dict[int, Out]()
    alone = msgspec.structs.replace(limits, threads=1)
    for places in make_batches([length(item) for item in items], alone):
        results = work([items[place] for place in places])
        found |= zip(places, results, strict=True)
    return [found[place] for place in range(len(items))]


def in_order(
    items: Iterable[Item],
    work: Callable[[list[Item]], list[Out]],
    length: Callable[[Item], int],
    limits: BatchLimits,
) -> Iterator[list[Out]]:
    """Yield the results of `work` in the order of `items`, as non-empty lists.

    A result is yielded as soon as it and all earlier results are ready.  A result never waits for a
    later item.  Therefore `items` may wait for each result before it yields the next item.

    work    maps a batch to its results, in any thread
    items   is iterated in another thread
    length  length of an item, for `BatchLimits.batch_total`

    If `items` or `work` raises an exception, the iterator first yields the earlier results that are
    ready, and then raises the exception.  `limits` bounds the memory.
    """
    pool = ThreadPoolExecutor(limits.threads)
    reader = ReadAhead(items, limits.read_ahead)
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
