"""Reads and writes safetensors containers strictly: named arrays, a JSON document, and a digest.

The safetensors package copies every tensor.  It accepts duplicate names, unknown fields and
unaligned tensors, and it waits forever on a FIFO.  Therefore this module has its own reader.  Any
safetensors reader can read the output of `pack`.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import math
import mmap
import os
import stat
import zlib
from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.errors import ModelError, UserError
from int8ref.host.states import recorded, state_of

MAX_FILE_BYTES = 1 << 32
RECORDED_BYTES = 1 << 20
"""Size from which a file has a record of its SHA-256, because small files are hashed at once."""
MAX_HEADER_BYTES = 1 << 20
MAX_UNPACKED_BYTES = 1 << 25
MAX_XZ_MEMORY = 1 << 26
MAX_INFLATED_BYTES = 1 << 26
MAX_INFLATION = 4
"""Limit of the deflated tensors of a file.

The sum of their unpacked sizes is at most MAX_INFLATED_BYTES, plus MAX_INFLATION times the size of
their streams.
"""
DECLARATION_BYTES = 64
"""Approximate number of bytes in the header for one deflated tensor."""
LARGE_BYTES = 1 << 20
"""A larger tensor is deflated only in a compact file."""
XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 23}]

ALIGNMENT = 8

DIGEST = "trailer.sha256"
"""Name of the last tensor: the SHA-256 of all bytes before it."""
DIGEST_BYTES = 32

Code = Literal["I8", "I16", "I32", "U8"]
DTYPES: dict[Code, type[np.integer[Any]]] = {
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "U8": np.uint8,
}

Array = npt.NDArray[Any]
Shape = Annotated[list[Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]], msgspec.Meta(max_length=4)]


class MappedFile(mmap.mmap):
    """A mapped file.

    path    its path
    state   its state when it was opened: see `host.states`.  None: the file has no record.
    """

    path = ""
    state: str | None = None


Content = bytes | mmap.mmap | memoryview


class ModelFileError(UserError, ValueError):
    """The model file is unusable.  The message names the file and the fault."""


class OtherFileError(ModelError):
    """The file is not the wanted file, because it has another SHA-256."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor in a safetensors header.  The offsets count from the end of the header."""

    dtype: Code
    shape: Shape
    data_offsets: tuple[int, int]


class Contents(msgspec.Struct, frozen=True):
    """The content of a container: the decoded metadata document, and the tensors.

    digest  the SHA-256 at the end
    sha256  the SHA-256 of the whole file
    """

    document: Any
    tensors: dict[str, Array]
    digest: str
    sha256: str


def pack(tensors: dict[str, Array], key: str, document: str, alignment: int = ALIGNMENT) -> bytes:
    """Return the bytes of a container.  Equal input gives equal bytes.

    `document` becomes the metadata value of `key`.  The tensors are sorted by falling item size,
    then by name.  Therefore each tensor is aligned to its item size.  The first tensor is aligned
    to `alignment`, a multiple of 8.
    """
    entries: dict[str, Any] = {"__metadata__": {key: document}}
    parts: list[bytes | memoryview] = []
    end = 0
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    for name, tensor in [*((n, tensors[n]) for n in order), (DIGEST, np.zeros(DIGEST_BYTES, "u1"))]:
        dtype = next((code for code, kind in DTYPES.items() if tensor.dtype == kind), None)
        if dtype is None:
            raise ModelFileError(f"tensor {name!r} is {tensor.dtype}, not int8, int16 or int32")
        offsets = [end, end + tensor.nbytes]
        entries[name] = {"dtype": dtype, "shape": tensor.shape, "data_offsets": offsets}
        parts.append(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
        end = offsets[1]
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-(len(header) + 8) % alignment)
    parts = [len(header).to_bytes(8, "little"), header, *parts[:-1]]
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part)
    content = b"".join([*parts, hashed.digest()])  # one copy, because a model may be large
    unpack(content, key)
    return content


def map_file(path: str | os.PathLike[str]) -> MappedFile:
    """Map a regular file read-only.  Symbolic links are followed.  Raises `ModelFileError`."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise ModelFileError("not a regular file")
        if not 0 < found.st_size <= MAX_FILE_BYTES:
            raise ModelFileError(f"{found.st_size} bytes, not 1 to {MAX_FILE_BYTES}")
        with open(path, "rb") as file:
            mapped = MappedFile(file.fileno(), 0, access=mmap.ACCESS_READ)
            mapped.path = os.path.abspath(path)
            if len(mapped) >= RECORDED_BYTES:
                mapped.state = state_of([os.fstat(file.fileno())])
            return mapped
    except OSError as error:
        raise ModelFileError(error.strerror or str(error)) from None


def file_hash(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a whole file in hexadecimal.  The content is not checked.

    Raises `ModelFileError` that names the file.
    """
    try:
        return hashlib.sha256(map_file(path)).hexdigest()
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)}: {error}") from None


def is_whole(content: Content) -> bool:
    """Return whether a container ends with the SHA-256 of all bytes before it."""
    return _hash_of_whole(memoryview(content)) is not None


def _hash_of_whole(view: memoryview) -> str | None:
    """Return the SHA-256 of a container, or None if its last bytes are not its digest.

    One pass gives both hashes.
    """
    end = view[-DIGEST_BYTES:]
    made = hashlib.sha256(view[:-DIGEST_BYTES])
    if made.digest() != end:
        return None
    made.update(end)
    return made.hexdigest()


def _hash_of_undamaged(view: memoryview) -> str:
    """Return the SHA-256 of a container.  Raises `ModelFileError` if the container is damaged."""
    sha256 = _hash_of_whole(view)
    if sha256 is None:
        raise ModelFileError("damaged: the SHA-256 at the end is not that of the content")
    return sha256


def release(content: Content) -> None:
    """Give the pages of a mapped file back to the system, which reads them again when needed."""
    if isinstance(content, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        content.madvise(mmap.MADV_DONTNEED)


def unpack(content: Content, key: str, file: MappedFile | None = None) -> Contents:
    """Check a container.  Return views of its tensors, without a copy.  Raises `ModelFileError`.

    `file`: the file of the content.  If a record says that this state of the file is undamaged, the
    content is not hashed.
    """
    view = memoryview(content)
    header, start = _header(view)
    metadata = header.pop("__metadata__", None)
    if (
        not isinstance(metadata, dict)
        or set(metadata) != {key}
        or not isinstance(metadata[key], str)
    ):
        raise ModelFileError(f"not an int8ref model: the metadata is not one text named {key!r}")
    try:
        entries = msgspec.convert(header, dict[str, Entry])
    except msgspec.ValidationError as error:
        raise ModelFileError(f"tensor entries: {error}") from None
    _check_layout(entries, len(view) - start)
    if file is None:
        sha256 = _hash_of_undamaged(view)
    else:
        sha256 = recorded(file.path, file.state, lambda: _hash_of_undamaged(view))
    release(content)  # the checksum has read every page, and most may stay unused
    tensors = {
        name: np.frombuffer(
            view[start + entry.data_offsets[0] : start + entry.data_offsets[1]],
            DTYPES[entry.dtype],
        ).reshape(entry.shape)
        for name, entry in entries.items()
        if name != DIGEST
    }
    return Contents(_json(metadata[key], "header"), tensors, view[-DIGEST_BYTES:].hex(), sha256)


def compress(data: bytes) -> Array:
    """Compress bytes with xz.  Return the result as an array."""
    if not 0 < len(data) <= MAX_UNPACKED_BYTES:
        raise ModelFileError(f"{len(data)} bytes to compress, not 1 to {MAX_UNPACKED_BYTES}")
    packed = lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=XZ_FILTERS)
    return np.frombuffer(packed, np.uint8)


def decompress(name: str, packed: Array) -> bytes:
    """Invert `compress`, with limits of output and memory.  Raises `ModelFileError`."""
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY)
        data = decoder.decompress(packed.tobytes(), max_length=MAX_UNPACKED_BYTES + 1)
    except lzma.LZMAError as error:
        raise ModelFileError(f"tensor {name!r}: {error}") from None
    if len(data) > MAX_UNPACKED_BYTES:
        raise ModelFileError(f"tensor {name!r}: more than {MAX_UNPACKED_BYTES} bytes unpacked")
    if not decoder.eof or decoder.unused_data or not data:
        raise ModelFileError(f"tensor {name!r}: not exactly one xz stream")
    return data


def deflate(tensor: Array, compact: bool) -> Array | None:
    """Return a tensor as a zlib stream, or None if deflating is not worthwhile.

    Deflating is worthwhile if it saves an eighth of the size.  For a large tensor it is never
    worthwhile, because a large tensor is mapped from the file and takes longest to unpack.  With
    `compact`, deflating is worthwhile if it saves more bytes than its declaration in the header
    takes.
    """
    if tensor.nbytes > LARGE_BYTES and not compact:
        return None
    packed = np.frombuffer(zlib.compress(tensor.tobytes(), 9), np.uint8)
    most = tensor.nbytes - DECLARATION_BYTES if compact else tensor.nbytes * 7 // 8
    return packed if packed.nbytes <= most else None


def inflate(name: str, packed: Array, dtype: Code, shape: list[int]) -> Array:
    """Invert `deflate`.  The shape limits the output.  Raises `ModelFileError`."""
    kind = np.dtype(DTYPES[dtype])
    size = kind.itemsize * math.prod(shape)
    if packed.dtype != np.uint8:
        raise ModelFileError(f"tensor {name!r}: {packed.dtype} is no zlib stream")
    decoder = zlib.decompressobj()
    try:
        data = decoder.decompress(packed.tobytes(), size + 1)
    except zlib.error as error:
        raise ModelFileError(f"tensor {name!r}: {error}") from None
    if len(data) != size or not decoder.eof or decoder.unused_data:
        raise ModelFileError(f"tensor {name!r}: not exactly one zlib stream of {size} bytes")
    return np.frombuffer(data, kind).reshape(shape)


def _header(view: memoryview) -> tuple[dict[str, Any], int]:
    """Return the JSON object of the header, and the position of the data."""
    length = int.from_bytes(view[:8], "little")
    if len(view) < 8 or length > len(view) - 8:
        raise ModelFileError("truncated, or not a safetensors file: the header is not complete")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise ModelFileError(f"a header of {length} bytes, not 2 to {MAX_HEADER_BYTES}")
    try:
        text = str(view[8 : 8 + length], "utf-8")
    except UnicodeDecodeError as error:
        raise ModelFileError(f"safetensors header: {error}") from None
    header = _json(text, "safetensors header")
    if not isinstance(header, dict):
        raise ModelFileError("the safetensors header is not a JSON object")
    return header, 8 + length


def _check_layout(entries: dict[str, Entry], size: int) -> None:
    """Check that the tensors are contiguous and aligned, and that the digest is the last tensor."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        told = f"tensor {name!r}"
        begin, following = entry.data_offsets
        itemsize = np.dtype(DTYPES[entry.dtype]).itemsize
        wanted = itemsize
        for n in entry.shape:
            wanted *= n
        if begin != end or following - begin != wanted:
            raise ModelFileError(
                f"{told}: bytes {begin} to {following}, but {wanted} bytes were to follow {end}"
            )
        if begin % itemsize:
            raise ModelFileError(f"{told}: not aligned to {itemsize} bytes")
        end = following
    if end != size:
        raise ModelFileError(f"{size} bytes of tensors where the header tells of {end}")
    digest = entries.get(DIGEST)
    if digest != Entry("U8", [DIGEST_BYTES], (size - DIGEST_BYTES, size)):
        raise ModelFileError(f"the last tensor is not {DIGEST!r}, {DIGEST_BYTES} bytes long")


def _json(text: str, what: str) -> Any:
    """Parse JSON without duplicate keys, NaN or infinity."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{what}: {error or 'nested too deeply'}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"duplicate key {twice!r}")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of this format")
