"""Golden vectors as a folder: one folder for each operation, for testbenches and programs in C.

    index.json              where the vectors come from, and the names of the case folders
    cases.txt               the names of the case folders, a line each
    *.schema.json           JSON Schemas of index.json and desc.json
    model/00000.bin, .hex   constants of the model, which the cases share
    00000-linear/           a case: desc.json, desc.txt, and FIELD.bin, FIELD.hex of each array

A .bin file holds little-endian elements in C order.  A .hex file holds the same elements as text
for $readmemh: a line for each element, two's complement, two digits for each byte.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from int8ref.golden.description import Description, Index, Stored, lines, schemas
from int8ref.golden.vectors import Array, Told, Vectors, little_endian, text_of
from int8ref.host.new_folder import new_folder

SHARED = "model/"
"""Arrays with such names are in the folder of this name."""


def write_folder(
    path: str | os.PathLike[str],
    vectors: Vectors,
    model: str | None = None,
    sha256: str | None = None,
) -> None:
    """Write vectors to a new folder.  No other process sees a part of the folder.

    Raises `UserError` if `path` exists and is no empty folder, and `OSError` if the folder cannot
    be written.
    """
    with new_folder(path) as folder:
        _Writer(folder, vectors).write(vectors.index(model, sha256))


class _Writer:
    """Writes the files of a new folder."""

    def __init__(self, folder: Path, vectors: Vectors) -> None:
        self._folder, self._vectors = folder, vectors
        self._shared: dict[str, str] = {}

    def write(self, index: Told) -> None:
        """Write all files."""
        names = [
            f"{number:05}-{record['op']}" for number, record in enumerate(self._vectors.records)
        ]
        for name, record in zip(names, self._vectors.records, strict=True):
            self._write_case(self._folder / name, record)
        checked = msgspec.convert(index | {"cases": names}, Index)
        self._put("index.json", text_of(msgspec.to_builtins(checked)))
        self._put("cases.txt", "".join(f"{name}\n" for name in names).encode())
        for name, schema in schemas().items():
            self._put(name, text_of(schema))

    def _write_case(self, folder: Path, record: Told) -> None:
        folder.mkdir()
        kinds = ("operands", "results", "intermediates")
        arrays = {kind: self._stored(folder, record[kind]) for kind in kinds}
        told = msgspec.convert(record | arrays, Description)
        self._put(folder / "desc.json", text_of(msgspec.to_builtins(told)))
        self._put(folder / "desc.txt", lines(told).encode())

    def _stored(self, folder: Path, names: Mapping[str, str]) -> dict[str, Any]:
        """Write the arrays of a record.  Return their descriptions."""
        found = {}
        for field, name in names.items():
            array = self._vectors.arrays[name]
            file = self._file(folder, field, name, array)
            stored = Stored(name, f"{file}.bin", array.dtype.name, list(array.shape))  # type: ignore[arg-type]
            found[field] = msgspec.to_builtins(stored)
        return found

    def _file(self, folder: Path, field: str, name: str, array: Array) -> str:
        """Write an array.  Return its file relative to the case, without a suffix."""
        if not name.startswith(SHARED):
            self._put_array(folder / field, array)
            return field
        if name not in self._shared:
            self._shared[name] = f"{SHARED}{len(self._shared):05}"
            (self._folder / SHARED).mkdir(exist_ok=True)
            self._put_array(self._folder / self._shared[name], array)
        return f"../{self._shared[name]}"

    def _put_array(self, path: Path, array: Array) -> None:
        self._put(path.with_name(f"{path.name}.bin"), little_endian(array).tobytes())
        self._put(path.with_name(f"{path.name}.hex"), hexadecimal(array))

    def _put(self, path: Path | str, content: bytes) -> None:
        (self._folder / path).write_bytes(content)


def hexadecimal(array: Array) -> bytes:
    """Return the text of an array for $readmemh."""
    big = np.ascontiguousarray(array, array.dtype.newbyteorder(">"))
    digits = np.frombuffer(binascii.hexlify(big.tobytes()), np.uint8)
    table = np.full((array.size, 2 * array.itemsize + 1), ord("\n"), np.uint8)
    table[:, :-1] = digits.reshape(array.size, 2 * array.itemsize)
    return table.tobytes()
