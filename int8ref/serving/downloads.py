"""Translated files that wait for their download.  They are in memory only, and for a short time."""

from __future__ import annotations

import asyncio
import os
import secrets
from urllib.parse import quote

import msgspec

from int8ref.serving.service_errors import ServiceError

KEPT_SECONDS = 600


class Download(msgspec.Struct, frozen=True):
    """A translated file, and the name that a browser gives it."""

    content: bytes
    name: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer.  A browser stores the file, and never shows it as a page."""
        return {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(self.name, safe='')}",
            "content-security-policy": "default-src 'none'; sandbox",
            "x-content-type-options": "nosniff",
        }


class Downloads:
    """The translated files.

    most   largest number of bytes of all files
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: dict[str, Download] = {}

    def keep(self, content: bytes, name: str) -> str:
        """Keep a file for some minutes.  Return its name here, which nobody can guess.

        Raises `ServiceError` if the files are too large together.
        """
        if len(content) > self._most:
            raise ServiceError(413, f"the translated file has more than {self._most} bytes")
        if sum(len(file.content) for file in self._files.values()) + len(content) > self._most:
            raise ServiceError(503, "many translated files are waiting already: try again later")
        key = secrets.token_urlsafe() + os.path.splitext(name)[1].lower()
        self._files[key] = Download(content, name)
        asyncio.get_running_loop().call_later(KEPT_SECONDS, self._files.pop, key, None)
        return key

    def find(self, key: str) -> Download:
        """Return a file.  Raises `ServiceError`."""
        found = self._files.get(key)
        if found is None:
            minutes = KEPT_SECONDS // 60
            raise ServiceError(404, f"there is no such file: files stay for {minutes} minutes")
        return found
