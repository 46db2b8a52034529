"""The bytes of a checkpoint: all of them, if they are not too many, and forward through them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from weights_import.errors import CheckpointError

MAXIMUM_BYTES = 4 << 30
"""Of a checkpoint that is read as a whole."""


def checked_size(path: Path, most: int = MAXIMUM_BYTES) -> int:
    """The size of a file; raises CheckpointError where it is too large."""
    size = path.stat().st_size
    if size > most:
        raise CheckpointError(f"{size} bytes, at most {most} are read")
    return size


def whole(path: Path) -> bytes:
    """A whole file; raises CheckpointError where it is too large."""
    checked_size(path)
    return path.read_bytes()


def one_line(error: Exception) -> str:
    """What a library says of damage, in one line that is not too long for a message."""
    return f"{type(error).__name__}: {' '.join(str(error).split()):.400}"


class Cursor:
    """Reads forward through the content and never past its end."""

    def __init__(self, content: bytes | memoryview) -> None:
        self.content = memoryview(content)
        self.offset = 0

    def take(self, length: int, what: str) -> memoryview:
        """The next bytes; raises CheckpointError that says what and where, if there are fewer."""
        self.check(length, what)
        self.offset += length
        return self.content[self.offset - length : self.offset]

    def check(self, length: int, what: str) -> None:
        """Raises CheckpointError that says what and where, if there are fewer bytes left."""
        left = len(self.content) - self.offset
        if length > left:
            raise CheckpointError(
                f"{what} at byte {self.offset}: needs {length} bytes, but the file has {left} left"
            )

    def numbers(self, layout: struct.Struct, what: str) -> tuple[Any, ...]:
        """The next numbers of a layout; raises CheckpointError likewise."""
        return layout.unpack(self.take(layout.size, what))
