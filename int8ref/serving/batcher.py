"""Collects texts of many requests to batches, as they come.  No text waits for a later one.

A thread that is free takes the texts that wait, at most `batch_size` of them, and computes them
together.  Therefore one client gets its answer at once, and many clients share the work.  A batch
has the texts of one kind: one model, and one set of options.  Kinds take turns.  In a kind, the
requests take turns too, so that a request with many texts does not delay the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from int8ref.serving.service_errors import ServiceError

Kind = TypeVar("Kind", bound=Hashable)


class Job:
    """The texts of one request.

    taken    number of texts that a thread has taken
    left     number of texts without a result
    results  the results by their places
    """

    def __init__(self, texts: Sequence[str], future: asyncio.Future[list[Any]]) -> None:
        self.texts, self.future = texts, future
        self.taken, self.left = 0, len(texts)
        self.results: list[Any] = [None] * len(texts)

    def add(self, at: int, result: Any) -> None:
        """Take a result, in the thread of the event loop."""
        self.results[at] = result
        self.left -= 1
        if not self.left and not self.future.done():
            self.future.set_result(self.results)

    def fail(self, error: BaseException) -> None:
        """End the request with an error, in the thread of the event loop."""
        if not self.future.done():
            self.future.set_exception(error)


Place = tuple[Job, int]
"""A text: its job, and its place there."""


class Batcher(Generic[Kind]):
    """Computes texts in threads.

    work        returns the results of texts of a kind, in their order
    batch_size  largest number of texts of a batch
    threads     number of threads
    most        largest number of texts that wait
    tell        is called with the number of texts of each batch
    """

    def __init__(
        self,
        work: Callable[[Kind, list[str]], Sequence[Any]],
        batch_size: int,
        threads: int,
        most: int,
        tell: Callable[[int], None],
    ) -> None:
        self._work, self._size, self._most, self._tell = work, batch_size, most, tell
        self._jobs: OrderedDict[Kind, deque[Job]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self.waiting = 0
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    async def results(self, kind: Kind, texts: Sequence[str]) -> list[Any]:
        """Return the results of texts.

        If the caller is cancelled, texts that no thread has taken are not computed.  Raises
        `ServiceError` if too many texts wait, and the errors of `work`.
        """
        if not texts:
            return []
        job = Job(texts, asyncio.get_running_loop().create_future())
        with self._changed:
            if self.waiting + len(texts) > self._most:
                raise ServiceError(
                    503, f"{self.waiting} texts are waiting already: try again later"
                )
            self.waiting += len(texts)
            self._jobs.setdefault(kind, deque()).append(job)
            self._changed.notify()
        try:
            return await job.future
        finally:
            if job.left:
                self._cancel(kind, job)

    def close(self) -> None:
        """End the threads.  Texts that wait get no result."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _cancel(self, kind: Kind, job: Job) -> None:
        with self._changed:
            jobs = self._jobs.get(kind)
            if jobs is not None and job in jobs:
                jobs.remove(job)
                self.waiting -= len(job.texts) - job.taken
                if not jobs:
                    del self._jobs[kind]

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                kind, places = self._take()
                if self._jobs:
                    self._changed.notify()
            self._tell(len(places))
            self._compute(kind, places)

    def _take(self) -> tuple[Kind, list[Place]]:
        """Take texts of the kind whose turn it is, from one request after the other."""
        kind, jobs = self._jobs.popitem(last=False)
        places: list[Place] = []
        while jobs and len(places) < self._size:
            job = jobs.popleft()
            places.append((job, job.taken))
            job.taken += 1
            if job.taken < len(job.texts):
                jobs.append(job)
        self.waiting -= len(places)
        if jobs:
            self._jobs[kind] = jobs
        return kind, places

    def _compute(self, kind: Kind, places: list[Place]) -> None:
        """Compute a batch.  If it fails, compute each text alone, so that no other text fails."""
        try:
            found = self._work(kind, [job.texts[at] for job, at in places])
        except Exception as error:
            if len(places) == 1:
                _deliver(places, partial(places[0][0].fail, error))
            else:
                for place in places:
                    self._compute(kind, [place])
            return
        _deliver(places, partial(_add, places, found))


def _add(places: list[Place], found: Sequence[Any]) -> None:
    for (job, at), result in zip(places, found, strict=True):
        job.add(at, result)


def _deliver(places: list[Place], call: Callable[[], None]) -> None:
    """Call a function in the thread of the event loop of the requests."""
    with contextlib.suppress(RuntimeError):  # the loop was closed, and nobody waits
        places[0][0].future.get_loop().call_soon_threadsafe(call)
