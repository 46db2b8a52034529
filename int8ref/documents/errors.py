"""Errors of documents, and the libraries that only documents need."""

from __future__ import annotations

import importlib
from types import ModuleType

from int8ref.errors import UserError

EXTRA = "documents"


class DocumentError(UserError, ValueError):
    """A document cannot be read.  The message names the fault and its place."""


def required(module: str) -> ModuleType:
    """Return a module of a library.  Raises `UserError` that says how to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        told = f"documents need the package {error.name}: type pip install 'int8ref[{EXTRA}]'"
        raise UserError(told) from None
