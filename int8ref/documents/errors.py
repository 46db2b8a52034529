"""Errors of documents, and the libraries that only documents need."""

from __future__ import annotations

from typing import Any

from int8ref.errors import UserError
from int8ref.host import extras


class DocumentError(UserError, ValueError):
    """A document cannot be read.  The message names the fault and its place."""


def required(module: str) -> Any:
    """Return a module of a library.  Raises `UserError` that says how to install it."""
    return extras.required(module, "documents", "documents need")
