"""Checks a SentencePiece model before the SentencePiece library reads it.

The library does not check the tables of a model.  Its normaliser follows a double array (Aoe 1989,
in the layout of Darts-clone) without a check of the bounds.  A damaged table makes the library read
beyond the end of the file, and the process crashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np
import numpy.typing as npt

from int8ref.files import protobuf

# sentencepiece_model.proto: fields of ModelProto, of NormalizerSpec, and of SentencePiece.
PIECES, NORMALIZERS, CHARACTER_MAP = 1, (3, 5), 2
PIECE, TYPE, USER_DEFINED = 1, 3, b"\x04"

MOST_MATCHES = 32
"""Capacity of the library: number of keys of a character map that are prefixes of one text."""
MOST_PREFIXES = 64
"""Capacity of the library: number of user-defined pieces that are prefixes of one text."""
MOST_BYTES = 1024
"""Largest length of a key of a character map."""

HAS_LEAF, WIDE_OFFSET = np.uint32(1 << 8), np.uint32(1 << 9)
VALUE = np.uint32((1 << 31) - 1)

Units = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int64]


class UnsafeModelError(ValueError):
    """The SentencePiece library cannot read this model safely.  The message says why."""


def check(model: bytes) -> None:
    """Check everything that the library does not check.  Raises `UnsafeModelError`."""
    try:
        top = list(protobuf.fields(model))
        normalizers = (value for number, _, value in top if number in NORMALIZERS)
        for number, _, table in chain.from_iterable(map(protobuf.fields, normalizers)):
            if number == CHARACTER_MAP and table:
                check_map(table)
        _check_pieces(value for number, _, value in top if number == PIECES)
    except (IndexError, UnicodeDecodeError) as error:
        raise UnsafeModelError(str(error)) from None


def _check_pieces(pieces: Iterable[bytes]) -> None:
    """Check the texts of all pieces, and that few user-defined pieces begin alike."""
    texts, named = list[bytes](), list[bytes]()
    for piece in pieces:
        text, kind = b"", b""
        for number, _, value in protobuf.fields(piece):
            if number == PIECE:
                text = value
            elif number == TYPE:
                kind = value
        texts.append(text)
        if kind == USER_DEFINED:
            named.append(text)
    b"\n".join(texts).decode()
    _check_prefixes(named)


def _check_prefixes(pieces: Iterable[bytes]) -> None:
    """Check that no text begins with more than MOST_PREFIXES user-defined pieces."""
    prefixes: list[bytes] = []
    for piece in sorted(set(pieces)):
        while prefixes and not piece.startswith(prefixes[-1]):
            prefixes.pop()
        prefixes.append(piece)
        if len(prefixes) > MOST_PREFIXES:
            raise UnsafeModelError(f"more than {MOST_PREFIXES} user-defined pieces begin alike")


def check_map(content: bytes) -> None:
    """Check a character map: the size of the double array, the array, and the replacement texts."""
    size = int.from_bytes(content[:4], "little")
    if len(content) <= 4 or size % 4 or not 4 <= size < len(content) - 4:
        raise UnsafeModelError(f"a character map of {len(content)} bytes with {size} of an array")
    texts = content[4 + size :]
    try:
        texts.decode()
    except UnicodeDecodeError as error:
        raise UnsafeModelError(f"character map: {error}") from None
    if texts[-1]:
        raise UnsafeModelError("the texts of a character map do not end with 0")
    starts = np.frombuffer(texts, np.uint8) & 0xC0 != 0x80  # first bytes of characters
    _follow(np.frombuffer(content[4 : 4 + size], "<u4"), starts)


def _follow(units: Units, starts: npt.NDArray[np.bool_]) -> None:
    """Follow all paths of the double array.  One pass handles all nodes of one depth.

    The children of a node at `base` are the units `base ^ byte` whose label is `byte`.  Therefore
    the library reads the units `base` to `base | 255`.  A node with a leaf stores its value at its
    base.
    """
    places = np.arange(len(units))
    parents = np.where(units >> np.uint32(31), -1, places ^ (units & np.uint32(0xFF)))
    order = np.argsort(parents, kind="stable")
    parents = parents[order]
    bases, matches = _bases(units, np.zeros(1, np.int64)), np.zeros(1, np.int64)
    for _ in range(MOST_BYTES):
        if len(bases) == 0:
            return
        if int((bases | 255).max()) >= len(units):
            raise UnsafeModelError("a character map leads beyond its end")
        nodes, came_from = _children(bases, parents, order)
        matches = matches[came_from] + (units[nodes] & HAS_LEAF != 0)
        if len(nodes) and int(matches.max()) > MOST_MATCHES:
            raise UnsafeModelError(f"more than {MOST_MATCHES} keys of a character map begin alike")
        bases = _bases(units, nodes)
        _check_leaves(units, bases[units[nodes] & HAS_LEAF != 0], starts)
        bases, matches = _merged(bases, matches)
    raise UnsafeModelError(f"a character map has keys of more than {MOST_BYTES} bytes")


def _bases(units: Units, nodes: Places) -> Places:
    """Return the base of the children of each node."""
    found = units[nodes]
    offsets = found >> np.uint32(10)
    offsets = np.where(found & WIDE_OFFSET, offsets.astype(np.int64) << 8, offsets)
    return nodes ^ offsets.astype(np.int64)


def _children(bases: Places, parents: Places, order: Places) -> tuple[Places, Places]:
    """Return the children of all nodes, and for each child the index of its node.

    `order` sorts the units by the base of their possible parents.  `parents`: these bases, sorted.
    """
    first, last = np.searchsorted(parents, bases), np.searchsorted(parents, bases, "right")
    counts = last - first
    came_from = np.repeat(np.arange(len(bases)), counts)
    within = np.arange(len(came_from)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[np.repeat(first, counts) + within], came_from


def _check_leaves(units: Units, bases: Places, starts: npt.NDArray[np.bool_]) -> None:
    """Check that the value of each leaf is the beginning of a replacement text."""
    if len(bases) == 0:
        return
    if int(bases.max()) >= len(units):
        raise UnsafeModelError("a character map leads beyond its end")
    values = (units[bases] & VALUE).astype(np.int64)
    if int(values.max()) >= len(starts) or not starts[values].all():
        raise UnsafeModelError("a character map names a text that it does not have")


def _merged(bases: Places, matches: Places) -> tuple[Places, Places]:
    """Merge nodes that share their children.  Keep the largest number of matches."""
    found, index = np.unique(bases, return_inverse=True)
    most = np.zeros(len(found), np.int64)
    np.maximum.at(most, index, matches)
    return found, most
