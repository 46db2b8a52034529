"""Reads JSON lines: each line is one document, an object with members.

A member that nobody reads stays the text that it was.  Therefore numbers keep all their digits.
"""

from __future__ import annotations

import msgspec

from int8ref.text.lines import TextError

Document = dict[str, msgspec.Raw]
"""Name of a member -> its text."""


def document(line: str, where: str) -> Document:
    """Parse one line.  `where`: name of the line in messages.  Raises `TextError`."""
    try:
        return _DOCUMENT.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise TextError(f"{where} is no JSON document: {error}") from None


def text(found: Document, name: str, where: str) -> str:
    """Return a member that is a text.  Raises `TextError` if it is missing or is no text."""
    if name not in found:
        raise TextError(f"{where} has no member {name!r}")
    try:
        return _TEXT.decode(found[name])
    except msgspec.MsgspecError as error:
        raise TextError(f"{where}: the member {name!r} is no text: {error}") from None


def bare_text(line: str, where: str) -> str:
    """Return a line that is a text alone.  Raises `TextError`."""
    try:
        return _TEXT.decode(line)
    except msgspec.MsgspecError as error:
        raise TextError(f"{where} is no JSON document: {error}") from None


def with_member(line: str, name: str, members: Document) -> str:
    """Return a JSON document with one more member, which holds other members unchanged."""
    return f'{line[:-1]},"{name}":{msgspec.json.encode(members).decode()}}}'


_DOCUMENT = msgspec.json.Decoder(Document)
_TEXT = msgspec.json.Decoder(str)
