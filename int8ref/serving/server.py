"""Runs the application on uvicorn: connections with time limits, and an end that loses no request.

At SIGTERM or SIGINT the service takes no more requests: they get the status 503.  It finishes the
requests that it has taken, and ends.  A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from int8ref.serving.app import application
from int8ref.serving.gate import Gate, Message
from int8ref.serving.service import Service
from int8ref.serving.translating import Translating

KEEP_ALIVE_SECONDS = 30
"""Time that an idle connection stays open, and that the head of a request may take."""
CLOSING_SECONDS = 5
"""Time that connections get to close at the end."""
DRAIN_MILLISECONDS = 50
BACKLOG = 2048

Connections = dict[Any, asyncio.Transport]
"""The open connections by the addresses of their clients."""


def protocol(connections: Connections) -> type[HttpToolsProtocol]:
    """Return the protocol of a connection.  A client that sends or reads nothing loses it."""

    class Connection(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _unread = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connections[self.client] = transport
            self._arm()

        def connection_lost(self, exc: Exception | None) -> None:
            connections.pop(self.client, None)
            self._disarm()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._arm()

        def on_headers_complete(self) -> None:
            self._disarm()
            super().on_headers_complete()

        def timeout_keep_alive_handler(self) -> None:
            unread, before = self.transport.get_write_buffer_size(), self._unread
            if unread and (not before or unread < before):  # the client reads, but slowly
                self._unread = unread
                self.timeout_keep_alive_task = self.loop.call_later(
                    KEEP_ALIVE_SECONDS, self.timeout_keep_alive_handler
                )
            else:
                self.transport.abort()

        def _arm(self) -> None:
            self._disarm()
            self._timer = self.loop.call_later(KEEP_ALIVE_SECONDS, self.transport.abort)

        def _disarm(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Connection


class Server(uvicorn.Server):
    """A server that finishes its requests before it ends.

    stopped_by  the signal that ended it, or None
    """

    def __init__(self, config: uvicorn.Config, gate: Gate) -> None:
        super().__init__(config)
        self._gate = gate
        self.stopped_by: int | None = None
        self._ending: asyncio.Future[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; at the second signal, end at once."""
        if self.stopped_by is not None:
            self.should_exit = self.force_exit = True
        self.stopped_by = sig
        self._gate.draining = True

    async def drained(self) -> None:
        """Wait for a signal, and then for the end of all requests."""
        while not (self._gate.draining and not self._gate.active):
            await asyncio.sleep(DRAIN_MILLISECONDS * 1e-3)
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.  Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def serve(service: Service, listening: socket.socket, ready: Callable[[], None]) -> int | None:
    """Serve until a signal.  Returns the signal.

    `ready` is called before the first request.
    """
    logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
    logging.getLogger("uvicorn.error").propagate = False
    connections: Connections = {}

    def abort(scope: Message) -> None:
        transport = connections.get(scope["client"])
        if transport is not None:
            transport.abort()

    gate = application(service, abort, lambda: len(connections))
    config = uvicorn.Config(
        gate,
        http=protocol(connections),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=CLOSING_SECONDS,
        limit_concurrency=service.limits.connections,
    )
    server = Server(config, gate)

    async def run() -> None:
        waiting = asyncio.create_task(server.drained())
        try:
            await Translating(service).warm_up()
            ready()
            await server.serve(sockets=[listening])
        finally:
            waiting.cancel()
            service.close()

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())
    return server.stopped_by if server.stopped_by == signal.SIGINT else None
