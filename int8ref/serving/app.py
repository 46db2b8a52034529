"""The application: its addresses, and its answers to errors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from int8ref.serving.bodies import check_key, json
from int8ref.serving.gate import Gate, Message
from int8ref.serving.libretranslate import DOWNLOADS, LibreTranslate
from int8ref.serving.metrics import CONTENT_TYPE
from int8ref.serving.openai import OpenAI
from int8ref.serving.people import People
from int8ref.serving.service import Service
from int8ref.serving.service_errors import ServiceError, body_of, error_of

Endpoint = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger(__name__)


class Operation:
    """The answers to operators: health and metrics."""

    def __init__(self, service: Service, connections: Callable[[], int]) -> None:
        self._service, self._connections = service, connections
        self.gate: Gate | None = None

    async def health(self, _: Request) -> Response:
        """`GET /health`"""
        if self.gate is not None and self.gate.draining:
            return json({"status": "ending"}, 503)
        return json({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`"""
        check_key(request, self._service.policy.keys, "")
        gauges = self._service.gauges()
        gauges["connections"] = "Open connections.", self._connections()
        if self.gate is not None:
            gauges["requests_active"] = "Requests that are not finished.", self.gate.active
        return Response(self._service.metrics.text(gauges), media_type=CONTENT_TYPE)


def application(
    service: Service, abort: Callable[[Message], None], connections: Callable[[], int]
) -> Gate:
    """Return the application behind its gate.

    `abort`: see `Gate`.  `connections`: returns the number of open connections.
    """
    libre, openai, people = LibreTranslate(service), OpenAI(service), People(service)
    operation = Operation(service, connections)
    posts: dict[str, Endpoint] = {
        "/translate": libre.translate,
        "/detect": libre.detect,
        "/translate_file": libre.translate_file,
        "/v1/completions": openai.completions,
        "/v1/chat/completions": openai.chat,
        "/v1/embeddings": openai.embeddings,
        "/details": people.details,
        "/receipt": people.receipt,
    }
    gets: dict[str, Endpoint] = {
        "/languages": libre.languages,
        "/frontend/settings": libre.settings,
        "/v1/models": openai.models,
        "/health": operation.health,
        "/metrics": operation.metrics,
        "/": people.page,
        DOWNLOADS + "{name}": libre.download,
    }
    routes = [
        Route(path, _guarded(endpoint, service), methods=[method])
        for method, endpoints in (("POST", posts), ("GET", gets))
        for path, endpoint in endpoints.items()
    ]
    origins = service.policy.origins
    shared = [Middleware(CORSMiddleware, allow_origins=origins, allow_headers=["*"])]
    handlers: Any = {HTTPException: _refused}
    app = Starlette(
        routes=routes, middleware=shared if origins else [], exception_handlers=handlers
    )
    app.router.redirect_slashes = False
    inner: Any = app
    paths = [*posts, *gets]
    gate = Gate(inner, paths, service.limits.seconds, service.metrics, abort)
    operation.gate = gate
    return gate


def _guarded(endpoint: Endpoint, service: Service) -> Endpoint:
    """Return an endpoint that answers errors in the form of its interface."""

    async def guarded(request: Request) -> Response:
        try:
            _check_origin(request, service)
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:
            fault = error_of(error)
            if fault.status == 500:
                _log.error("%s failed: %r", request.url.path, error, exc_info=error)
            return _answer(request, fault)

    return guarded


def _check_origin(request: Request, service: Service) -> None:
    """Raise `ServiceError` for the request of a page that comes from elsewhere.

    Without this check, any page that a user opens could use a service on his machine.
    """
    origin = request.headers.get("origin")
    allowed = service.policy.origins
    if origin is None or origin in allowed or "*" in allowed:
        return
    if origin.partition("://")[2] != request.headers.get("host"):
        raise ServiceError(403, "the page of another origin asks: --cors allows its origin")


def _answer(request: Request, fault: ServiceError) -> Response:
    headers = {"retry-after": "5"} if fault.status == 503 else {}
    if fault.status == 413:
        headers["connection"] = "close"  # the rest of the body is not read
    return Response(
        body_of(request.url.path, fault),
        fault.status,
        headers=headers,
        media_type="application/json",
    )


async def _refused(request: Request, error: Exception) -> Response:
    """Answer a request without an endpoint."""
    assert isinstance(error, HTTPException)
    told = "there is no such address" if error.status_code == 404 else error.detail
    answer = _answer(request, ServiceError(error.status_code, told))
    answer.headers.update(error.headers or {})
    return answer
