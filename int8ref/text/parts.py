"""Writes compressed outputs, part by part."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from int8ref.text.compressed import Kind
from int8ref.text.streams import RawFile

PART_BYTES = 1 << 18
"""Size of a part before compression.  A run that ends early loses at most one part."""


class PartWriter:
    """Writes results as parts.  A part ends with the result with which it reaches `PART_BYTES`.

    Therefore the parts depend only on the results, and a run that goes on after a part writes the
    same bytes as one run.  A run that ends with an error writes no further part.
    """

    terminal = False

    def __init__(self, file: RawFile, kind: Kind, size: int) -> None:
        """Prepare to write.  `size`: bytes of whole parts that the file has before."""
        kind.reader()  # a missing extra ends the run before the work begins
        self._file, self._kind, self._whole = file, kind, size
        self._part = bytearray()

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None and (self._part or not self._whole):
                self._end()
        finally:
            self._file.close()

    def write(self, results: Sequence[str]) -> None:
        """Write the text of each result, and a line feed after it."""
        for text in results:
            self._part += f"{text}\n".encode()
            if len(self._part) >= PART_BYTES:
                self._end()

    def _end(self) -> None:
        """Compress and write the part."""
        packed = self._kind.pack(bytes(self._part))
        try:
            self._file.write_all(packed)
        except OSError:
            with contextlib.suppress(OSError):  # a device or a pipe cannot be cut
                os.ftruncate(self._file.fileno(), self._whole)
            raise
        self._whole += len(packed)
        self._part.clear()
