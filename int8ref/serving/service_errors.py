"""The errors of a service, in the forms that clients of both interfaces read."""

from __future__ import annotations

import http

import msgspec

from int8ref.errors import UserError

OPENAI = "/v1/"
"""The beginning of the paths that have OpenAI's form."""


class ServiceError(Exception):
    """A request gets no result.

    status   the HTTP status
    message  one sentence for the user
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def error_of(error: BaseException) -> ServiceError:
    """Return the fault of an exception.  The message of an unforeseen one stays in the service."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, UserError):
        return ServiceError(400, str(error))
    return ServiceError(500, "the service failed; its log says why")


def body_of(path: str, fault: ServiceError) -> bytes:
    """Return the JSON document of a fault, in the form of the interface of the path."""
    if not path.startswith(OPENAI):
        return msgspec.json.encode({"error": fault.message})
    told = {
        "message": fault.message,
        "type": _type_of(fault.status),
        "param": None,
        "code": http.HTTPStatus(fault.status).phrase.lower().replace(" ", "_"),
    }
    return msgspec.json.encode({"error": told})


def _type_of(status: int) -> str:
    if status in (401, 403):
        return "authentication_error"
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
