"""The form that PyTorch writes since version 1.6.

It is a zip of `NAME/data.pkl` and of `NAME/data/KEY` for each storage, without compression.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from weights_import.errors import CheckpointError
from weights_import.sources.checkpoint_bytes import one_line
from weights_import.sources.torch_pickle import MAXIMUM_BYTES, unpickled
from weights_import.sources.torch_pickle_names import NAMES, Storage, storage
from weights_import.sources.unchanged_file import UnchangedFile

MAGIC = b"PK\x03\x04"
PICKLE = re.compile(r"([^/]+/)?data\.pkl")
VALUE, PROGRAM = "data.pkl", "constants.pkl"
"""A program of TorchScript has this member too, and is not read."""
MAXIMUM_MEMBERS = 1 << 16
HEADER_BYTES = 1 << 8
"""Of a member, with its name and what fills the space up to the pickle, mostly."""
LOCAL_HEADER = struct.Struct("<4s22xHH")
ENCRYPTED = 1
BYTE = np.dtype(np.uint8)
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, struct.error, ValueError)

Members = dict[str, zipfile.ZipInfo]


def outline(path: Path) -> bytes:
    """About the pickle of a file, which names its tensors; empty for a file of another form."""
    try:
        members = _members(path)
        member = members[_pickle(members)]
    except CheckpointError:
        return b""
    with path.open("rb") as file:
        file.seek(max(member.header_offset, 0))
        return file.read(min(member.file_size, MAXIMUM_BYTES) + HEADER_BYTES)


def opened(file: UnchangedFile) -> tuple[Any, dict[str, tuple[int, int]]]:
    """The value of a file, and where the bytes of each storage lie: their offset and their number.

    Raises CheckpointError with what is wrong.
    """
    members = _members(file.path)
    name = _pickle(members)
    folder = name.removesuffix(VALUE)
    order = members.get(f"{folder}byteorder")
    if order is not None and _content(file, order) != b"little":
        raise CheckpointError("its numbers are big endian, which is not read")
    found: dict[str, Storage] = {}

    def noted(told: object) -> Storage:
        one = storage(told)
        found[one.key] = one
        return one

    value, _ = unpickled(_content(file, members[name]), 0, NAMES, noted)
    return value, dict(_places(file, members, f"{folder}data/", found))


def _places(
    file: UnchangedFile, members: Members, folder: str, keys: dict[str, Storage]
) -> Iterator[tuple[str, tuple[int, int]]]:
    for key in keys:
        member = members.get(folder + key)
        if member is None:
            raise CheckpointError(f"the storage {key:.80} is missing")
        yield key, _place(file, member)


def _members(path: Path) -> Members:
    """The members by name; raises CheckpointError for a damaged zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
    except DAMAGE as error:
        raise CheckpointError(f"damaged zip: {one_line(error)}") from None
    found = {member.filename: member for member in listed}
    if len(listed) > MAXIMUM_MEMBERS or len(found) < len(listed):
        raise CheckpointError(
            f"{len(listed)} members, of which {len(found)} have names of their own"
        )
    length = 0
    for member in listed:
        length += member.compress_size
    if length > path.stat().st_size:
        raise CheckpointError(f"its members have {length} bytes, which are more than the file has")
    return found


def _pickle(members: Members) -> str:
    """The name of the pickle; raises CheckpointError unless there is one."""
    found = [name for name in members if PICKLE.fullmatch(name)]
    if len(found) != 1 or found[0].removesuffix(VALUE) + PROGRAM in members:
        raise CheckpointError("a zip archive that is no checkpoint of PyTorch")
    return found[0]


def _content(file: UnchangedFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member that is no storage."""
    offset, length = _place(file, member)
    if length > MAXIMUM_BYTES:
        raise CheckpointError(f"{member.filename:.80}: more than {MAXIMUM_BYTES} bytes")
    return file.numbers(offset, length, BYTE).tobytes()


def _place(file: UnchangedFile, member: zipfile.ZipInfo) -> tuple[int, int]:
    """Where the bytes of a member lie; raises CheckpointError for what is no part of the file."""
    name, size, start = member.filename, member.file_size, member.header_offset
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & ENCRYPTED:
        raise CheckpointError(
            f"{name:.80}: it is compressed or encrypted, which PyTorch does not do; write the file"
            " anew by torch.save"
        )
    if not 0 <= start <= file.size - LOCAL_HEADER.size:
        raise CheckpointError(f"{name:.80}: it begins at byte {start} of {file.size}")
    header = file.numbers(start, LOCAL_HEADER.size, BYTE).tobytes()
    magic, length, extra = LOCAL_HEADER.unpack(header)
    offset = start + LOCAL_HEADER.size + length + extra
    if magic != MAGIC or size != member.compress_size or offset + size > file.size:
        raise CheckpointError(f"{name:.80}: {size} bytes at byte {offset} of {file.size}")
    return offset, size
