"""The bytes of a checkpoint: all of them, if they are not too many, and forward through them."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

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


class Numbers(Protocol):
    """What numbers are read from: a file, or bytes in memory."""

    def numbers(self, offset: int, count: int, kind: np.dtype[Any]) -> NDArray[Any]: ...

    def sha256(self) -> str: ...


class HeldBytes:
    """Bytes in memory that are read as an `UnchangedFile` is."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def numbers(self, offset: int, count: int, kind: np.dtype[Any]) -> NDArray[Any]:
        """A new array of `count` numbers of a kind, from the byte `offset` on."""
        return np.frombuffer(self._content, kind, count, offset).copy()

    def sha256(self) -> str:
        """The digest of the bytes."""
        return hashlib.sha256(self._content).hexdigest()


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
