"""Reads dumps of values: archives (.npz) and folders, in the forms of `int8ref.golden`.

A dump comes from a stranger.  Nothing in it is executed.  An array is read only if its type and
shape are as expected, so that no dump fills the memory.
"""

from __future__ import annotations

import contextlib
import io
import lzma
import os
import re
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.errors import UserError
from int8ref.golden.archive import INDEX
from int8ref.golden.description import Description, Index, Sentence

Array = npt.NDArray[Any]
Kind = TypeVar("Kind")

MAX_JSON = 1 << 26
"""Largest size of a description, in bytes."""
MAX_SENTENCES = 4096
MAX_HEADER = 1 << 12
"""Largest size of the header of an array, in bytes."""
NONBLOCKING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags that open a pipe without waiting for its writer."""
COMMENT = re.compile(r"//.*")
DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
    ValueError, OSError,
)  # fmt: skip
"""Errors of the libraries that read a damaged archive."""
NO_HEADER = (ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError, RecursionError,
             MemoryError)  # fmt: skip
"""Errors of NumPy for a header that is none."""
PARTS = ("operands", "intermediates", "results")


class Record(msgspec.Struct, frozen=True):
    """One operation of a dump: see `golden.description.Description`.  Arrays have their names."""

    op: str
    sequence: str
    step: int | None
    case: dict[str, str] | None
    constants: dict[str, int | None]
    operands: dict[str, str]
    results: dict[str, str]
    intermediates: dict[str, str] = {}


class Told(msgspec.Struct, frozen=True):
    """Where the vectors of a dump come from."""

    form: int
    arithmetic: int
    model: str | None
    sha256: str | None
    sentences: list[Sentence]


class Archived(Told, frozen=True):
    """The index of an archive."""

    records: list[Record]


class Dump(Protocol):
    """Somebody's results."""

    @property
    def told(self) -> Told:
        """Where the vectors come from."""
        ...

    def records(self) -> Iterator[tuple[str, Record]]:
        """Yield the place of each operation, for messages, and the operation."""
        ...

    def arrays(self, number: int, part: str, field: str, like: Array) -> Iterator[Array | str]:
        """Yield each array that the dump has for a field, or the description of its fault.

        like  the expected array.  Only its type and shape are used.
        """
        ...


@contextlib.contextmanager
def open_dump(path: str) -> Iterator[Dump]:
    """Open an archive or a folder.  Raises `UserError` if it is neither."""
    if os.path.isdir(path):
        yield Folder(Path(path))
        return
    try:
        with zipfile.ZipFile(path) as content:
            yield Archive(path, content)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise UserError(f"{path}: {error}") from None


def _decoded(content: bytes, kind: type[Kind], where: str) -> Kind:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: {error}") from None


class Archive:
    """A NumPy archive."""

    def __init__(self, path: str, content: zipfile.ZipFile) -> None:
        self._path, self._content = path, content
        index = self._member(INDEX, MAX_JSON)
        if isinstance(index, str):
            raise UserError(f"{path}: {index}")
        found = _decoded(index, Archived, f"{path}: {INDEX}")
        self.told, self._records = found, found.records
        self._seen: set[str] = set()

    def records(self) -> Iterator[tuple[str, Record]]:
        """See `Dump.records`."""
        for number, record in enumerate(self._records):
            yield f"record {number}", record

    def arrays(self, number: int, part: str, field: str, like: Array) -> Iterator[Array | str]:
        """See `Dump.arrays`.  Several operations may name one array, which is read once."""
        name: str = getattr(self._records[number], part)[field]
        if name not in self._seen:
            self._seen.add(name)
            content = self._member(f"{name}.npy", MAX_HEADER + like.nbytes)
            yield content if isinstance(content, str) else _array(content, like)

    def _member(self, name: str, limit: int) -> bytes | str:
        """Return the content of a file, or its fault.

        The checksum is not compared, because all content is.
        """
        try:
            info = self._content.getinfo(name)
        except KeyError:
            return f"the archive has no {name}"
        del info.CRC
        try:
            with self._content.open(info) as file:
                content = file.read(limit + 1)
        except DAMAGE as error:
            return f"{name} is damaged: {error}"
        return content if len(content) <= limit else f"{name} has more than {limit} bytes"


def _array(content: bytes, like: Array) -> Array | str:
    """Parse an array of NumPy (.npy).  Return its fault if its type or shape differs."""
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, turned, dtype = read(file, max_header_size=MAX_HEADER)
    except NO_HEADER as error:
        return f"no array of NumPy: {error}"
    if shape != like.shape or dtype.newbyteorder("=") != like.dtype:
        return _other(f"{dtype} {list(shape)}", like)
    raw = file.read()
    if len(raw) != like.nbytes:
        return f"{len(raw)} bytes, expected {like.nbytes}"
    found = np.frombuffer(raw, dtype).astype(like.dtype, copy=False)
    return found.reshape(shape, order="F" if turned else "C")


def _other(found: str, like: Array) -> str:
    return f"{found}, expected {like.dtype} {list(like.shape)}"


class Folder:
    """A folder with a folder for each operation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        found = self._json(path / "index.json", Index)
        self.told = Told(found.form, found.arithmetic, found.model, found.sha256, found.sentences)
        self._cases = found.cases
        self._described: Description | None = None
        self._seen: set[str] = set()

    def records(self) -> Iterator[tuple[str, Record]]:
        """See `Dump.records`."""
        for name in self._cases:
            told = self._described = self._json(self._path / name / "desc.json", Description)
            arrays = {
                part: {field: stored.name for field, stored in getattr(told, part).items()}
                for part in PARTS
            }
            case = None if told.case is None else msgspec.to_builtins(told.case)
            yield name, Record(told.op, told.sequence, told.step, case, told.constants, **arrays)

    def arrays(self, number: int, part: str, field: str, like: Array) -> Iterator[Array | str]:
        """See `Dump.arrays`.  Yields the content of the raw file and of the text, if both exist."""
        assert self._described is not None
        stored = getattr(self._described, part)[field]
        if stored.shape != list(like.shape) or stored.dtype != like.dtype.name:
            yield _other(f"{stored.dtype} {stored.shape}", like)
            return
        raw = os.path.normpath(self._path / self._cases[number] / stored.file)
        if raw in self._seen:
            return
        self._seen.add(raw)
        text = f"{raw.removesuffix('.bin')}.hex"
        found = [path for path in (raw, text) if os.path.exists(path)]
        if not found:
            yield f"{raw} is missing"
        for path in found:
            yield _raw(path, like) if path == raw else _hexadecimal(path, like)

    def _json(self, path: Path, kind: type[Kind]) -> Kind:
        content = read_plain(path, MAX_JSON)
        if isinstance(content, str):
            raise UserError(content)
        return _decoded(content, kind, str(path))


def read_plain(path: str | Path, limit: int) -> bytes | str:
    """Return the content of a plain file, or its fault.  A pipe or a device is a fault."""
    descriptor = os.open(path, os.O_RDONLY | NONBLOCKING)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return f"{path} is no plain file"
        if status.st_size > limit:
            return f"{path} has {status.st_size} bytes, expected at most {limit}"
        return file.read(limit)


def _raw(path: str, like: Array) -> Array | str:
    content = read_plain(path, like.nbytes)
    if isinstance(content, str):
        return content
    if len(content) != like.nbytes:
        return f"{path} has {len(content)} bytes, expected {like.nbytes}"
    return _as(content, "<", like)


def _hexadecimal(path: str, like: Array) -> Array | str:
    """Parse the text of $readmemh or $writememh: a number in two's complement for each element."""
    digits = 2 * like.itemsize
    content = read_plain(path, MAX_HEADER + like.size * (digits + 32))
    if isinstance(content, str):
        return content
    words = COMMENT.sub("", content.decode("latin-1")).split()
    if len(words) != like.size:
        return f"{path} has {len(words)} numbers, expected {like.size}"
    try:
        numbers = bytes.fromhex("".join(word.rjust(digits, "0") for word in words))
    except ValueError:
        numbers = b""
    if len(numbers) != like.nbytes or max(map(len, words), default=0) > digits:
        wrong = next(at for at, word in enumerate(words) if not _is_number(word, digits))
        told = f"{words[wrong][:32]!r}, which has not 1 to {digits} hexadecimal digits"
        return f"{path}: number {wrong} is {told}"
    return _as(numbers, ">", like)


def _is_number(word: str, digits: int) -> bool:
    return re.fullmatch(f"[0-9a-fA-F]{{1,{digits}}}", word) is not None


def _as(content: bytes, order: Literal["<", ">"], like: Array) -> Array:
    """Return bytes as an array of the type and shape of `like`."""
    found = np.frombuffer(content, like.dtype.newbyteorder(order))
    return found.astype(like.dtype, copy=False).reshape(like.shape)
