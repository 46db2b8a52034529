"""Reading forward through the bytes of a file."""

from __future__ import annotations

import struct
from typing import Any

from weights_import.float_model import CheckpointError


class Cursor:
    """Reads forward through the content and never past its end."""

    def __init__(self, content: bytes) -> None:
        self.content = memoryview(content)
        self.offset = 0

    def take(self, length: int, what: str) -> memoryview:
        """The next bytes; raises CheckpointError that says what and where, if there are fewer."""
        left = len(self.content) - self.offset
        if length > left:
            raise CheckpointError(
                f"{what} at byte {self.offset}: needs {length} bytes, but the file has {left} left"
            )
        self.offset += length
        return self.content[self.offset - length : self.offset]

    def numbers(self, layout: struct.Struct, what: str) -> tuple[Any, ...]:
        """The next numbers of a layout; raises CheckpointError likewise."""
        return layout.unpack(self.take(layout.size, what))
