"""The format of stored native code: object files, or an image made of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import msgspec

from int8ref.errors import UserError
from int8ref.machine.toolchain import image
from int8ref.machine.toolchain.image import Image

ENTRY = "int8ref.machine"


MAGIC = b"int8ref machine 3\n"

_log = logging.getLogger(__name__)


class CompilerError(UserError, RuntimeError):
    """There is no native code; the message has the reason and names the other backend."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"there is no compiled code: {reason}; --backend reference (in Python:"
            ' backend="reference") gives the same results, slowly'
        )


class ObjectFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object file, with the functions that it defines and the functions that it needs."""

    name: str
    code: bytes
    defined: list[str]
    needed: list[str]


class Objects(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Object files that LLVM loads."""

    parts: list[bytes]


def encode(parts: Sequence[ObjectFile]) -> bytes:
    """The stored form of the parts: an image if possible, else object files.

    Raises `CompilerError` if the parts need a function that no part defines.  Code that loads
    without Numba must need nothing of Numba, and LLVM does not report the functions that it cannot
    find.
    """
    missing = {n for p in parts for n in p.needed} - {n for p in parts for n in p.defined}
    if missing:
        raise CompilerError(f"symbols that nobody defines: {sorted(missing)}")
    objects = [part.code for part in sorted(parts, key=lambda part: part.name)]
    code: Image | Objects = Objects(objects)
    if image.supported():
        try:
            code = image.link(objects, ENTRY)
        except image.LinkError as error:
            _log.info("the code is kept as object files: %s", error)
    content = msgspec.msgpack.encode(code)
    return MAGIC + hashlib.sha256(content).digest() + content


def decode(content: bytes) -> Image | Objects:
    """The inverse of `encode`.  Raises ValueError for damaged code."""
    head, code = content[: len(MAGIC) + 32], content[len(MAGIC) + 32 :]
    if head != MAGIC + hashlib.sha256(code).digest():
        raise ValueError("damaged code")
    return msgspec.msgpack.decode(code, type=Image | Objects)
