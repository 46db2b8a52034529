"""The model that a user asks for: a name or a path, and the SHA-256 of the file.

This module imports nothing that takes long, because --help and errors of usage must answer at once.
"""

from __future__ import annotations

import os
import re
import reprlib
from dataclasses import dataclass

from int8ref.options import OptionError

_SHA256 = re.compile("[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class WantedModel:
    """The model that a user asks for.

    name    name of a model, or path of a model file.  None: the default model.
    sha256  SHA-256 that the whole file must have, in hexadecimal.  The record stores it in lower
            case.  None: any file.

    Raises `OptionError`.
    """

    name: str | None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None:
            object.__setattr__(self, "sha256", hexadecimal(self.sha256))


def pivot_names(name: str | None) -> list[str]:
    """Return the names of the models in a row, or nothing if the name is the name of one model.

    A file whose name has a comma is one model.
    """
    if name is None or "," not in name or os.path.exists(name):
        return []
    return [part.strip() for part in name.split(",")]


def hexadecimal(value: object) -> str:
    """Return a SHA-256 in lower case.  Raises `OptionError` if it is not 64 hexadecimal digits."""
    if isinstance(value, str) and _SHA256.fullmatch(value):
        return str(value).lower()
    raise OptionError(f"sha256 is {reprlib.repr(value)}, not 64 hexadecimal digits")
