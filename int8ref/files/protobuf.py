"""The wire format of Protocol Buffers: the fields of a message, read strictly, and written."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
SIZES = {EIGHT_BYTES: 8, FOUR_BYTES: 4}


def fields(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and value of each field of a message; raises IndexError where one is cut.

    A varint is its bytes as they are; of the others only the value is.
    """
    at = 0
    while at < len(content):
        tag, at = _read_varint(content, at)
        kind = tag & 7
        start = at
        if kind == VARINT:
            _, end = _read_varint(content, at)
        elif kind == BYTES:
            size, start = _read_varint(content, at)
            end = start + size
        elif kind in SIZES:
            end = at + SIZES[kind]
        else:
            raise IndexError(f"wire type {kind} at byte {at}")
        if end > len(content):
            raise IndexError(f"a field from byte {at} to {end} of {len(content)}")
        yield tag >> 3, kind, content[start:end]
        at = end


def field(number: int, kind: int, value: bytes) -> bytes:
    """The inverse of `fields`."""
    size = varint(len(value)) if kind == BYTES else b""
    return varint(number << 3 | kind) + size + value


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte have the top bit."""
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of at most 10 bytes, and where it ends."""
    number = 0
    for i in range(10):
        byte = content[at + i]
        number |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return number, at + i + 1
    raise IndexError(f"a number of more than 10 bytes at byte {at}")
