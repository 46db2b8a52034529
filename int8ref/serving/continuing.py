"""Continues texts of many requests in batches that run while texts enter and leave them.

All methods run in the thread of the event loop.  Each batch runs in a thread of its own, and the
event loop looks at its tokens at intervals.  Texts start in the order of their arrival.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from int8ref.engines.text_batch import Seen, TextBatch
from int8ref.language_model import LanguageModel
from int8ref.options import Options
from int8ref.search.request import Request
from int8ref.serving.service_errors import ServiceError

LOOK_MILLISECONDS = 10
"""Interval at which the event loop looks at the tokens of running texts."""


class Kind(msgspec.Struct, frozen=True):
    """What the texts of a batch share.

    model     the place of the model
    options   how tokens are drawn
    adjusted  whether the texts may have adjustments of their logits
    """

    model: int
    options: Options
    adjusted: bool = False


class Text:
    """A text that waits or runs.

    seen   its tokens so far
    news   is set when there are other tokens, or an error
    place  its place in its batch, or None while it waits
    """

    def __init__(self, kind: Kind, request: Request, seed: int) -> None:
        self.kind, self.request, self.seed = kind, request, seed
        self.seen = Seen([], ended=False)
        self.news = asyncio.Event()
        self.batch: Running | None = None
        self.place = 0
        self.error: BaseException | None = None

    def look(self, seen: Seen) -> None:
        """Take what the batch tells."""
        if seen.ended or len(seen.ids) > len(self.seen.ids):
            self.seen = seen
            self.news.set()


class Running:
    """A batch that runs, and its texts that are not finished."""

    def __init__(self, kind: Kind, batch: TextBatch) -> None:
        self.kind, self.batch = kind, batch
        self.texts: dict[Text, None] = {}

    def enter(self, text: Text) -> bool:
        """Add a text.  Returns False if all places were taken."""
        place = self.batch.enter(text.request, text.seed)
        if place is None:
            return False
        text.batch, text.place = self, place
        self.texts[text] = None
        return True

    def look(self) -> None:
        """Give each text its tokens."""
        texts = [*self.texts]
        for text, seen in zip(texts, self.batch.seen([t.place for t in texts]), strict=True):
            text.look(seen)
            if seen.ended:
                del self.texts[text]


class Continuing:
    """Continues texts.

    models   the language models by their places
    rows     largest number of texts of a batch that are computed at once
    threads  largest number of batches that run at once
    most     largest number of texts that wait
    """

    def __init__(
        self, models: dict[int, LanguageModel], rows: int, threads: int, most: int
    ) -> None:
        self._models, self._rows, self._threads, self._most = models, rows, threads, most
        self._pool = ThreadPoolExecutor(threads)
        self._waiting: deque[Text] = deque()
        self._running: list[Running] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """The number of texts that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """The number of texts that are computed."""
        return sum(len(running.texts) for running in self._running)

    def check_room(self, count: int) -> None:
        """Raise `ServiceError` if `count` more texts cannot wait."""
        if len(self._waiting) + count > self._most:
            raise ServiceError(
                503, f"{len(self._waiting)} texts are waiting already: try again later"
            )

    async def follow(self, kind: Kind, request: Request, seed: int) -> AsyncGenerator[Seen, None]:
        """Continue a text.  Yields what is known of it: at last, that it is finished.

        If the iteration ends early, the text leaves its batch.  Raises the errors of the batch.
        """
        text = Text(kind, request, seed)
        self._waiting.append(text)
        self._admit()
        try:
            while not text.seen.ended:
                await text.news.wait()
                text.news.clear()
                if text.error is not None:
                    raise text.error
                yield text.seen
        finally:
            self._leave(text)

    def close(self) -> None:
        """End the threads after their batches."""
        for text in [text for running in self._running for text in running.texts]:
            self._leave(text)
        self._pool.shutdown()

    def _leave(self, text: Text) -> None:
        if text.batch is None:
            if text in self._waiting:
                self._waiting.remove(text)
        elif text in text.batch.texts:
            text.batch.batch.end(text.place)
            del text.batch.texts[text]

    def _admit(self) -> None:
        """Let texts start, in the order of their arrival."""
        while self._waiting:
            text = self._waiting[0]
            try:
                if not self._starts(text):
                    return
            except Exception as error:
                text.error = error
                text.news.set()
            self._waiting.popleft()

    def _starts(self, text: Text) -> bool:
        """Let a text start: in a running batch with a free row, or in a new batch."""
        same = [running for running in self._running if running.kind == text.kind]
        same.sort(key=lambda running: len(running.texts))
        if same and len(same[0].texts) < self._rows and same[0].enter(text):
            return True
        if len(self._running) < self._threads:
            kind = text.kind
            batch = self._models[kind.model].begin(kind.options, self._rows, kind.adjusted)
            running = Running(kind, batch)
            running.enter(text)
            self._running.append(running)
            task = asyncio.get_running_loop().create_task(self._run(running))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return True
        return False

    async def _run(self, running: Running) -> None:
        """Run a batch to its end, and look at its tokens."""
        loop = asyncio.get_running_loop()
        try:
            while running.batch.waits:
                done = loop.run_in_executor(self._pool, running.batch.run)
                while not done.done():
                    await asyncio.wait([done], timeout=LOOK_MILLISECONDS * 1e-3)
                    running.look()
                    self._admit()
                done.result()
            running.look()
        except Exception as error:
            for text in running.texts:
                text.error = error
                text.news.set()
        finally:
            self._running.remove(running)
            self._admit()
