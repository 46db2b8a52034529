"""The file of a CTranslate2 model, `model.bin`: a specification's name and its variables.

All numbers are little endian:

    u32 version
    from version 2 on: the name of the specification, u32 revision
    u32 count of variables; each: name, u8 rank, u32 dimensions, type, data
    from version 3 on: u32 count of aliases; each: two names, the second of a variable

A name is a u16 length, which counts a closing NUL, and the text.  From version 4 on, a type is a u8
(0 float32, 1 int8, 2 int16, 3 int32, 4 float16, 5 bfloat16), and the u32 number of bytes follows.
Before, a type is the u8 size of an item (4 float32, 2 int16, 1 int8), and the u32 number of items
follows.  A variable is read from the file whenever it is used, so that a model needs no memory for
its weights.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weights_import.errors import CheckpointError
from weights_import.sources.checkpoint_bytes import Cursor, Numbers, whole
from weights_import.sources.unchanged_file import UnchangedFile
from weights_import.tensors import from_bfloat16

VERSIONS = range(2, 7)
MAXIMUM_VARIABLES = 1 << 16
MAXIMUM_NAME = 1024
MAXIMUM_RANK = 4

U8, U16, U32 = (struct.Struct(f"<{code}") for code in "BHI")
BFLOAT16 = np.dtype("<u2")
KINDS = "<f4", "i1", "<i2", "<i4", "<f2"
TYPES = {**{code: np.dtype(kind) for code, kind in enumerate(KINDS)}, 5: BFLOAT16}
TYPES_OF_SIZES = {TYPES[code].itemsize: TYPES[code] for code in (0, 1, 2)}


@dataclass(frozen=True, eq=False)
class Variable:
    """An array of a file: its shape, the type of its numbers, and where they are."""

    shape: tuple[int, ...]
    kind: np.dtype[Any]
    file: Numbers
    offset: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def floats(self) -> bool:
        """Whether its numbers are floats."""
        return self.kind.kind == "f" or self.bfloat16

    @property
    def bfloat16(self) -> bool:
        """Whether its numbers are the upper halves of float32."""
        return self.kind == BFLOAT16

    def read(self) -> NDArray[Any]:
        """Its numbers: integers as they are stored, floats as float32."""
        values = self.file.numbers(self.offset, self.size, self.kind).reshape(self.shape)
        if self.bfloat16:
            return from_bfloat16(values)
        return values.astype(np.float32, copy=False) if self.floats else values


@dataclass(frozen=True)
class Contents:
    """A whole file: the version of its layout, its specification, its variables, its digest.

    An alias is another name of the same variable.
    """

    version: int
    specification: str
    revision: int
    variables: dict[str, Variable]
    sha256: str


def specification(path: Path) -> str:
    """The name of what a file specifies, empty if it is none of this kind; a look that never raises
    for a readable file."""
    with path.open("rb") as file:
        cursor = Cursor(file.read(U32.size + U16.size + MAXIMUM_NAME))
    try:
        (version,) = cursor.numbers(U32, "version")
        return _name(cursor, "specification") if version in VERSIONS else ""
    except CheckpointError:
        return ""


def contents(path: Path) -> Contents:
    """Reads a file; raises CheckpointError with what is wrong and where (a byte offset).

    Every length is compared with the size of the file before anything is allocated.
    """
    file = UnchangedFile.of(path)
    return parsed(whole(path), file)


def require_revision(content: Contents, revision: int) -> None:
    """Raises CheckpointError for another revision of a specification."""
    if content.revision != revision:
        raise CheckpointError(
            f"a model of CTranslate2's {content.specification} of revision {content.revision},"
            f" which is not read; supported is revision {revision}, so convert the checkpoint again"
        )


def parsed(content: bytes, file: Numbers) -> Contents:
    """The bytes of a file, from which variables are read by `file`; raises CheckpointError."""
    cursor = Cursor(content)
    (version,) = cursor.numbers(U32, "version")
    if version not in VERSIONS:
        raise CheckpointError(f"version {version}, expected {VERSIONS[0]} to {VERSIONS[-1]}")
    named = _name(cursor, "specification")
    (revision,) = cursor.numbers(U32, "revision")
    variables: dict[str, Variable] = {}
    for _ in range(_count(cursor, "variables")):
        name = _name(cursor, "variable")
        if name in variables:
            raise CheckpointError(f"two variables {name}")
        variables[name] = _variable(cursor, name, version, file)
    if version >= 3:
        _add_aliases(cursor, variables)
    if cursor.offset != len(content):
        extra = len(content) - cursor.offset
        raise CheckpointError(f"{extra} bytes too many at the end, at byte {cursor.offset}")
    return Contents(version, named, revision, variables, file.sha256())


def _count(cursor: Cursor, what: str) -> int:
    (count,) = cursor.numbers(U32, f"number of {what}")
    if count > MAXIMUM_VARIABLES:
        raise CheckpointError(f"{count} {what}, at most {MAXIMUM_VARIABLES} are read")
    return int(count)


def _name(cursor: Cursor, what: str) -> str:
    """A text with a closing NUL; raises CheckpointError for what is none."""
    at = cursor.offset
    (length,) = cursor.numbers(U16, f"length of the name of a {what}")
    if not 2 <= length <= MAXIMUM_NAME:
        raise CheckpointError(f"name of a {what} at byte {at}: length {length}")
    text = bytes(cursor.take(length, f"name of a {what}"))
    try:
        name = text[:-1].decode("ascii")
    except UnicodeDecodeError:
        name = ""
    if text[-1] or not name.isprintable() or not name:
        raise CheckpointError(f"name of a {what} at byte {at}: {text!r}")
    return name


def _variable(cursor: Cursor, name: str, version: int, file: Numbers) -> Variable:
    """The next variable, of which nothing is read but its shape and its type."""
    (rank,) = cursor.numbers(U8, f"{name}: rank")
    if rank > MAXIMUM_RANK:
        raise CheckpointError(f"{name}: rank {rank}, at most {MAXIMUM_RANK} is read")
    shape = cursor.numbers(struct.Struct(f"<{rank}I"), f"{name}: dimensions")
    code, length = *cursor.numbers(U8, f"{name}: type"), *cursor.numbers(U32, f"{name}: length")
    kind = (TYPES if version >= 4 else TYPES_OF_SIZES).get(code)
    if kind is None:
        raise CheckpointError(f"{name}: unknown type {code}")
    count = math.prod(shape)
    if not count or length != count * (kind.itemsize if version >= 4 else 1):
        raise CheckpointError(f"{name}: a length of {length} for {list(shape)}")
    found = Variable(shape, kind, file, cursor.offset)
    cursor.take(count * kind.itemsize, f"{name}: data")
    return found


def _add_aliases(cursor: Cursor, variables: dict[str, Variable]) -> None:
    """Other names of variables, and of what they are scaled by."""
    for _ in range(_count(cursor, "aliases")):
        alias, name = _name(cursor, "alias"), _name(cursor, "variable")
        if alias in variables or name not in variables:
            raise CheckpointError(f"alias {alias} of {name}: known already, or of nothing")
        variables[alias] = variables[name]
        if f"{name}_scale" in variables:
            variables[f"{alias}_scale"] = variables[f"{name}_scale"]
