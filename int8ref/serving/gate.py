"""The gate of a service: every request passes it, and its errors and times are counted there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from int8ref.serving.metrics import Metrics
from int8ref.serving.service_errors import ServiceError, body_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

PATIENCE_SECONDS = 1
"""Time after which a request that has no answer yet is watched: the client may have gone."""
DRAIN_OPEN = ("/health", "/metrics")
"""Paths that answer while the service ends."""
OTHER = "other"
"""The name of all other paths in the metrics."""
GONE = 499
"""The status in the metrics of a request whose client closed the connection."""

_log = logging.getLogger(__name__)


class Visit:
    """One request: what was received of it, and the status of its answer, or 0."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.status = 0
        self.whole = self.gone = False

    async def receive(self) -> Message:
        """Implement `receive` of ASGI."""
        message = await self._receive()
        self.whole = self.whole or not message.get("more_body")
        return message

    async def send(self, message: Message) -> None:
        """Implement `send` of ASGI."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def watch(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task when the client closes the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        task.cancel()


class Gate:
    """Refuses requests while the service ends, limits the time of requests, and counts them.

    app      the application behind the gate
    paths    its paths
    seconds  longest time of a request
    abort    closes the connection of a request at once

    active   number of requests that are not finished
    draining  True when the service ends, and takes no request
    """

    def __init__(
        self,
        app: App,
        paths: Collection[str],
        seconds: int,
        metrics: Metrics,
        abort: Callable[[Message], None],
    ) -> None:
        self._app, self._paths, self._seconds = app, frozenset(paths), seconds
        self._metrics, self._abort = metrics, abort
        self.active, self.draining = 0, False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Implement ASGI."""
        if scope["type"] != "http":
            return
        path, begun = scope["path"], time.perf_counter_ns()
        visit = Visit(receive, send)
        self.active += 1
        try:
            if self.draining and path not in DRAIN_OPEN:
                await refuse(
                    visit.send, path, ServiceError(503, "the service ends: try another one")
                )
            else:
                await self._pass(scope, visit)
        finally:
            self.active -= 1
            name = path if path in self._paths else OTHER
            status = GONE if visit.gone else visit.status
            self._metrics.request(name, status, time.perf_counter_ns() - begun)

    async def _pass(self, scope: Message, visit: Visit) -> None:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        waits: list[asyncio.TimerHandle | asyncio.Task[None]] = []

        def watch() -> None:
            if visit.whole:
                waits.append(loop.create_task(visit.watch(task)))
            else:  # the body is being read: its reader sees the end of the connection
                waits[:] = [loop.call_later(PATIENCE_SECONDS, watch)]

        waits.append(loop.call_later(PATIENCE_SECONDS, watch))
        try:
            async with asyncio.timeout(self._seconds):
                await self._app(scope, visit.receive, visit.send)
        except TimeoutError:
            await self._too_late(scope, visit)
        except asyncio.CancelledError:
            if not visit.gone:
                raise
            task.uncancel()
        finally:
            for wait in waits:
                wait.cancel()

    async def _too_late(self, scope: Message, visit: Visit) -> None:
        """Answer a request that took too long.  If an answer has begun, close the connection."""
        if visit.status:
            self._abort(scope)
        else:
            told = f"the request took more than {self._seconds} seconds"
            await refuse(visit.send, scope["path"], ServiceError(503, told))


async def refuse(send: Send, path: str, fault: ServiceError) -> None:
    """Answer with a fault, and close the connection."""
    body = body_of(path, fault)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"retry-after", b"5"),
    ]
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
