"""Reads and writes the wire format of Protocol Buffers.  Reading is strict."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
SIZES = {EIGHT_BYTES: 8, FOUR_BYTES: 4}


def fields(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the number, the wire type and the value of each field of a message.

    The value of a varint is its encoded bytes.  A value of another type is the content alone.
    Raises IndexError if a field is cut.
    """
    at, size = 0, len(content)
    while at < size:
        tag = content[at]  # most numbers have one byte
        tag, at = (tag, at + 1) if tag < 0x80 else _read_varint(content, at)
        kind = tag & 7
        start = at
        if kind == BYTES:
            length = content[at]
            length, start = (length, at + 1) if length < 0x80 else _read_varint(content, at)
            end = start + length
        elif kind == VARINT:
            _, end = _read_varint(content, at)
        elif kind in SIZES:
            end = at + SIZES[kind]
        else:
            raise IndexError(f"wire type {kind} at byte {at}")
        if end > size:
            raise IndexError(f"a field from byte {at} to {end} of {size}")
        yield tag >> 3, kind, content[start:end]
        at = end


def field(number: int, kind: int, value: bytes) -> bytes:
    """Encode one field: the inverse of `fields`."""
    size = varint(len(value)) if kind == BYTES else b""
    return varint(number << 3 | kind) + size + value


def varint(number: int) -> bytes:
    """Encode a number with seven bits a byte, the lowest first.

    All bytes except the last one have bit 7 set.
    """
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    """Return a number of at most 10 bytes, and the position of its end."""
    number = 0
    for i in range(10):
        byte = content[at + i]
        number |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return number, at + i + 1
    raise IndexError(f"a number of more than 10 bytes at byte {at}")
