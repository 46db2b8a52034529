"""A file that is read piece by piece, and that must not change meanwhile.

A model reads its tensors from its checkpoint whenever it uses them.  A file that somebody writes
to in between would give a model that is neither the old one nor the new one.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from weights_import.errors import CheckpointError
from weights_import.sources.checkpoint_bytes import checked_size

CHUNK = 1 << 20
LARGEST_BYTES = 1 << 40
"""Of a file, whose tensors are read one at a time."""

State = tuple[int, int, int, int]
"""Device, file, size, time of the last change."""


@dataclass(frozen=True)
class UnchangedFile:
    """A file in the state in which it was first seen.

    Every method raises CheckpointError if the file has changed since, or cannot be read any more.
    """

    path: Path
    state: State

    @classmethod
    def of(cls, path: Path) -> UnchangedFile:
        """The file as it is now; raises CheckpointError where it is too large."""
        checked_size(path, LARGEST_BYTES)
        with path.open("rb") as file:
            return cls(path, _state(file))

    @property
    def size(self) -> int:
        """Its number of bytes."""
        return self.state[2]

    def numbers(self, offset: int, count: int, kind: np.dtype[Any]) -> NDArray[Any]:
        """A new array of `count` numbers of a kind, from the byte `offset` on."""
        found = np.empty(count, kind)
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                length = file.readinto(found.view(np.uint8).data)
                self._check(file)
        except OSError as error:
            raise self._changed(str(error)) from error
        if length != found.nbytes:
            raise self._changed(f"{length} of {found.nbytes} bytes at byte {offset}")
        return found

    def sha256(self) -> str:
        """The digest of its bytes."""
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as file:
                while piece := file.read(CHUNK):
                    digest.update(piece)
                self._check(file)
        except OSError as error:
            raise self._changed(str(error)) from error
        return digest.hexdigest()

    def _check(self, file: BinaryIO) -> None:
        """Compare the state after the bytes were read, because they may have changed until then."""
        if _state(file) != self.state:
            raise self._changed("its size or its time is another one")

    def _changed(self, how: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: the file changed while it was in use ({how})")


def _state(file: BinaryIO) -> State:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
