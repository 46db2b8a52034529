"""Reads the bodies of requests: JSON, and the forms that browsers and urllib send."""

from __future__ import annotations

import hmac
from collections.abc import AsyncGenerator, Collection
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from int8ref.serving.service_errors import ServiceError

FIELDS = 16
"""Largest number of fields of a form, besides texts."""
Form = TypeVar("Form", bound=msgspec.Struct)
_JSON = msgspec.json.Encoder(decimal_format="number")


async def read(request: Request, most: int) -> bytes:
    """Return the body of a request.  Raises `ServiceError` if it has more than `most` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise _too_large(most)
    return bytes(body)


async def form(request: Request, kind: type[Form], most: int, texts: int = 1) -> Form:
    """Return the fields of a request, in JSON or in a form of a browser.

    `texts`: largest number of texts, which are fields of one name.  Raises `ServiceError`.
    """
    body, media = await read(request, most), request.headers.get("content-type", "").lower()
    try:
        if media.startswith("application/x-www-form-urlencoded"):
            return msgspec.convert(_urlencoded(body, texts), kind, strict=False)
        if media.startswith("multipart/form-data"):
            return msgspec.convert(await _multipart(request, body, most), kind, strict=False)
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ServiceError(400, f"the request cannot be read: {error}") from None
    except (ValueError, MultiPartException) as error:
        raise ServiceError(400, f"the form cannot be read: {error}") from None


def _urlencoded(body: bytes, texts: int) -> dict[str, Any]:
    found = parse_qs(
        body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS + texts
    )
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


async def _multipart(request: Request, body: bytes, most: int) -> dict[str, Any]:
    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        request.headers, once(), max_files=1, max_fields=FIELDS, max_part_size=most
    )
    parser.spool_max_size = most + 1  # a body stays in memory
    found: dict[str, Any] = {}
    fields = await parser.parse()
    try:
        for name, value in fields.multi_items():
            if isinstance(value, UploadFile):
                found |= {name: await value.read(), "file_name": value.filename or ""}
            else:
                found[name] = value
    finally:
        await fields.close()
    return found


def check_key(request: Request, keys: Collection[str], given: str, status: int = 403) -> None:
    """Raise `ServiceError` if the service needs a key, and the request has none of its keys.

    `given`: the key in the body.  A header or the address may have it too.
    """
    if not keys:
        return
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    found = given or bearer or request.query_params.get("api_key", "")
    own = found.encode()
    if not sum(hmac.compare_digest(own, key.encode()) for key in keys):
        told = "the API key is not valid" if found else "this service needs an API key"
        raise ServiceError(status, told)


def json(content: Any, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(encoded(content), status, media_type="application/json")


def encoded(content: Any) -> bytes:
    """Return JSON.  Decimal numbers are written exactly."""
    return _JSON.encode(content)


def _too_large(most: int) -> ServiceError:
    return ServiceError(413, f"the body of the request has more than {most} bytes")
