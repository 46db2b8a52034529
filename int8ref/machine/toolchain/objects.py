"""The form in which native code is kept: object files, or an image made of them."""

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
    """There is no native code: the message says why, and what else there is."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"there is no compiled code: {reason}; --backend reference (in Python:"
            ' backend="reference") gives the same results, slowly'
        )


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object file, and the functions that it defines and that it needs."""

    name: str
    code: bytes
    defined: list[str]
    needed: list[str]


class Objects(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Object files, for LLVM to load."""

    parts: list[bytes]


def encode(parts: Sequence[Part]) -> bytes:
    """The parts of the machine as they are kept: as an image, where that is possible.

    Raises `CompilerError` where they refer to anything but each other and what an image may import:
    what is loaded without Numba must need nothing of it, and LLVM does not tell what it cannot
    resolve.
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
    """Inverse of `encode`.  Raises ValueError."""
    head, code = content[: len(MAGIC) + 32], content[len(MAGIC) + 32 :]
    if head != MAGIC + hashlib.sha256(code).digest():
        raise ValueError("damaged code")
    return msgspec.msgpack.decode(code, type=Image | Objects)
