"""Native code as an image: linked once, then copied to any address and run, without a compiler.

This module links object files of LLVM as the system's linker does.  It supports one architecture
(x86-64 in ELF), and the few kinds of relocation in position-independent code.  It refuses
everything else, and LLVM then loads the object file itself (`native`).

    image   sections of the objects, one after the other | stubs and slots of imported functions

An image refers to itself by distances.  Only addresses are written at load time: addresses of the
image's own bytes, and addresses of imported functions.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from int8ref.machine.toolchain import executable

IMPORTS = ("memcpy", "memmove", "memset")
"""Functions of the C library that LLVM may call by itself."""

HEADER = struct.Struct("<4sBB10xHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELOCATION = struct.Struct("<QIIq")
RELOCATABLE, X86_64 = 1, 62
PROGBITS, SYMBOLS, RELA = 1, 2, 4
ALLOCATED = 2
UNDEFINED, LOCAL = 0, 0
ABSOLUTE_64, DISTANCE_32, CALL_32 = 1, 2, 4
UNWINDING = ".eh_frame"
STUB = b"\xff\x25\x02\x00\x00\x00\xcc\xcc"
"""jmp [rip + 2]: jump to the address in the slot after the stub."""
SLOT = 8
ALIGNMENT = 64


class LinkError(ValueError):
    """An object file that cannot become an image; the message has the reason."""


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Linked code, and the words that are written at load time.

    entry      offset of the function
    addresses  (offset of a word, offset in the image whose address the word holds)
    imports    name of a function -> offset of the word that holds its address
    """

    code: bytes
    entry: int
    addresses: list[tuple[int, int]]
    imports: dict[str, int]


class Section(NamedTuple):
    """A section header; `name` is text."""

    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int


class Symbol(NamedTuple):
    """A symbol: whether other objects see it, the index of its section, and its place in the
    section."""

    name: str
    shared: bool
    section: int
    value: int


def supported() -> bool:
    """Whether this machine can run images."""
    return sys.platform == "linux" and os.uname().machine == "x86_64" and sys.maxsize > 1 << 32


def link(objects: Sequence[bytes], entry: str) -> Image:
    """Link object files to an image, whose function is `entry`.

    If several objects define a function, the first definition counts; the definitions must be
    equal.  Raises `LinkError`.
    """
    try:
        return _link(objects, entry)
    except (struct.error, IndexError, OverflowError, StopIteration, UnicodeDecodeError) as error:
        raise LinkError(f"a damaged object file: {error}") from None


def _link(objects: Sequence[bytes], entry: str) -> Image:
    code = bytearray()
    parts = [_Object(content, code) for content in objects]
    known: dict[str, int] = {}
    for part in parts:
        known = {**part.defined(), **known}
    if entry not in known:
        raise LinkError(f"no object has a function {entry!r}")
    code.extend(bytes(-len(code) % ALIGNMENT))
    imports: dict[str, int] = {}
    addresses: list[tuple[int, int]] = []

    def target(part: _Object, symbol: Symbol) -> int:
        if symbol.section in part.places:
            return part.places[symbol.section] + symbol.value
        if symbol.section == UNDEFINED and symbol.name in known:
            return known[symbol.name]
        if symbol.section != UNDEFINED or symbol.name not in IMPORTS:
            raise LinkError(f"{symbol.name!r} is neither in an object nor to be imported")
        if symbol.name not in imports:
            imports[symbol.name] = len(code) + len(STUB)
            code.extend(STUB + bytes(SLOT))
        return imports[symbol.name] - len(STUB)

    for part in parts:
        for word, kind, symbol, addend in part.relocations():
            value = target(part, symbol) + addend
            if kind == ABSOLUTE_64 and symbol.name not in imports:
                addresses.append((word, value))
            elif kind in (DISTANCE_32, CALL_32):
                struct.pack_into("<i", code, word, value - word)
            else:
                raise LinkError(f"relocation of kind {kind} to {symbol.name!r}")
    return Image(bytes(code), known[entry], addresses, imports)


def load(image: Image) -> tuple[int, mmap.mmap]:
    """Load an image.  Returns the address of its function, and the memory, which must stay alive.

    The memory is first writable, and then executable.  Raises OSError if the system forbids this.
    """
    memory = mmap.mmap(-1, len(image.code), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(image.code)
    library = ctypes.CDLL(None)
    base = executable.address(memory)
    for at, offset in image.addresses:
        struct.pack_into("<Q", memory, at, base + offset)
    for name, at in image.imports.items():
        found = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        struct.pack_into("<Q", memory, at, found)
    executable.make(memory)
    return base + image.entry, memory


class _Object:
    """A relocatable object file, whose sections are appended to `code`."""

    def __init__(self, content: bytes, code: bytearray) -> None:
        self._content = content
        self._sections = _sections(content)
        self.places: dict[int, int] = {}
        for index, section in enumerate(self._sections):
            if not section.flags & ALLOCATED or section.name == UNWINDING:
                continue
            if section.kind != PROGBITS or section.alignment > ALIGNMENT:
                raise LinkError(f"section {section.name} of kind {section.kind}")
            code.extend(bytes(-len(code) % max(section.alignment, 1)))
            self.places[index] = len(code)
            code.extend(self._bytes(section))
        table = next(s for s in self._sections if s.kind == SYMBOLS)
        names = self._sections[table.link].offset
        self._symbols = [
            Symbol(_text(content, names + name), binding >> 4 != LOCAL, section, value)
            for name, binding, _, section, value, _ in SYMBOL.iter_unpack(self._bytes(table))
        ]

    def defined(self) -> dict[str, int]:
        """The symbols that other objects may use, with their places."""
        found = (s for s in self._symbols if s.shared and s.section in self.places)
        return {symbol.name: self.places[symbol.section] + symbol.value for symbol in found}

    def relocations(self) -> Iterator[tuple[int, int, Symbol, int]]:
        """(place, kind, symbol, addend) of all relocations."""
        for table in self._sections:
            if table.kind == RELA and table.info in self.places:
                for at, kind, index, addend in RELOCATION.iter_unpack(self._bytes(table)):
                    yield self.places[table.info] + at, kind, self._symbols[index], addend

    def _bytes(self, section: Section) -> bytes:
        return self._content[section.offset : section.offset + section.size]


def _sections(content: bytes) -> list[Section]:
    """The section headers of a relocatable x86-64 object."""
    if len(content) < HEADER.size:
        raise LinkError("not an object file")
    magic, bits, order, kind, machine, _, _, _, start, _, _, _, _, size, count, names = (
        HEADER.unpack_from(content)
    )
    if (magic, bits, order, kind, machine, size) != (
        b"\x7fELF", 2, 1, RELOCATABLE, X86_64, SECTION.size,
    ):  # fmt: skip
        raise LinkError("not a relocatable ELF object for x86-64")
    rows = [SECTION.unpack_from(content, start + i * size) for i in range(count)]
    text_at = rows[names][4]
    return [
        Section(_text(content, text_at + name), kind, flags, offset, size, link, info, alignment)
        for name, kind, flags, _, offset, size, link, info, alignment, _ in rows
    ]


def _text(content: bytes, at: int) -> str:
    end = content.find(b"\0", at)
    if end < 0:
        raise LinkError("a damaged object file: a name without an end")
    return content[at:end].decode()
