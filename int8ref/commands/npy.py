"""Writes vectors of int8 as a NumPy array (.npy), row by row.

The header of such a file tells the number of rows.  The writer writes the header again after each
batch, so that the file is valid at every time.  Therefore the output must be a file that can be
written at any place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from int8ref.errors import UserError
from int8ref.text.streams import RawFile

HEADER_BYTES = 128
MAGIC = b"\x93NUMPY\x01\x00"


class NpyWriter:
    """Writes rows of `width` int8.  Raises `UserError` if the file is a pipe or a device."""

    def __init__(self, file: RawFile, width: int) -> None:
        self._file = file
        self._width, self._rows = width, 0
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UserError("an array of NumPy needs a plain file as --output, no pipe or device")
        file.write_all(header(0, width))

    def __enter__(self) -> NpyWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: Iterable[bytes]) -> None:
        """Write rows, then the number of all rows."""
        written = list(rows)
        self._file.write_all(b"".join(written))
        self._rows += len(written)
        descriptor = self._file.fileno()
        end = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, 0, os.SEEK_SET)
        self._file.write_all(header(self._rows, self._width))
        os.lseek(descriptor, end, os.SEEK_SET)


def header(rows: int, width: int) -> bytes:
    """Return the header of an array int8 [rows, width]."""
    told = f"{{'descr': '|i1', 'fortran_order': False, 'shape': ({rows}, {width}), }}"
    room = HEADER_BYTES - len(MAGIC) - 2
    return MAGIC + room.to_bytes(2, "little") + told.ljust(room - 1).encode() + b"\n"
