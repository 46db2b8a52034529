"""JSON as checkpoints have it: in a header, in metadata, or in a file beside them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from weights_import.errors import CheckpointError
from weights_import.sources.tokenizers import read_limited

Kind = TypeVar("Kind")
PLACED = re.compile(r"(.*) - at `\$\.?(.+)`", re.DOTALL)
"""What msgspec says of a value, and where that is."""


def parse(text: str | bytes) -> Any:
    """JSON without duplicate keys and without numbers that are none."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)


def parse_file(path: Path) -> Any:
    """The JSON in a file; raises CheckpointError for what is none."""
    try:
        return parse(read_limited(path))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name}: {error}") from None


def read(path: Path, kind: type[Kind]) -> Kind:
    """What is of a kind in a file; raises CheckpointError for what is not."""
    return convert(parse_file(path), kind, path.name)


def convert(told: Any, kind: type[Kind], name: str, strict: bool = True) -> Kind:
    """What is of a kind in the JSON of a file of this name; raises CheckpointError likewise.

    Without `strict`, texts become numbers and truth values where the kind has such.
    """
    try:
        return msgspec.convert(told, kind, strict=strict)
    except (msgspec.ValidationError, UnicodeEncodeError, OverflowError) as error:
        raise CheckpointError(f"{name}: {said(error)}") from None


def said(error: Exception) -> str:
    """What msgspec says of a value, its place first."""
    found = PLACED.fullmatch(str(error))
    return f"{found[2]}: {found[1]}, which is not read" if found else str(error)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without duplicate keys."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("an object has a key twice")
    return dict(pairs)
