"""Errors of an import that a user can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from int8ref.errors import UserError

MESSAGE_LENGTH = 8000


class CheckpointError(UserError, ValueError):
    """A checkpoint is damaged, or describes a model that is not supported.

    The message says what and where.  A message may quote a file.  Therefore it is one line of
    printable characters, and not longer than MESSAGE_LENGTH.
    """

    def __init__(self, message: str) -> None:
        if len(message) > MESSAGE_LENGTH:
            message = f"{message[:MESSAGE_LENGTH]} ..."
        if not message.isprintable():
            escaped = (c if c.isprintable() else ascii(c)[1:-1] for c in message)
            message = "".join(escaped)
        super().__init__(message)


@contextmanager
def located(path: Path) -> Iterator[None]:
    """Add the file to an error about its content."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


class LoweringError(UserError, ValueError):
    """A float model has no integers with these options.  The message says where and why."""
