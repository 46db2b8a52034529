"""Imports the packages that extras of int8ref install, on first use."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from int8ref.errors import UserError


def required(module: str, extra: str, user: str) -> Any:
    """Return a module of an extra.

    `user`: what needs the module, with its verb, such as "documents need".  Raises `UserError` that
    says how to install the extra.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(lacking(error.name or module, extra, user)) from None


def lacking(package: str, extra: str, user: str) -> str:
    """Return the message that a package of an extra is not installed."""
    python = f"{sys.executable or 'python'} -m pip install 'int8ref[{extra}]'"
    return f"{user} the package {package}, which the extra {extra} installs: type {python}"
