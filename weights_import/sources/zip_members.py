"""The members of a zip archive as bytes, none of which becomes a path or a file.

The sizes of all members are checked before the first one is expanded, so that the memory is bounded
by the size of the archive.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from weights_import.errors import CheckpointError
from weights_import.sources.checkpoint_bytes import MAXIMUM_BYTES, checked_size, one_line

MAXIMUM_MEMBERS = 1 << 16
# Trained weights hardly compress; a member that expands more than this is a zip bomb.
MAXIMUM_EXPANSION = 64
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, struct.error, ValueError)


def names(path: Path) -> list[str]:
    """The names of the members; none for what is no zip; a look that never raises for a readable
    file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except DAMAGE:
        return []


def members(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, bytes]:
    """The expanded members that are `wanted`, by name.

    Raises CheckpointError for damage, repeated names, foreign compression and members that expand
    beyond reason.
    """
    size = checked_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
            _check_names(listed)
            kept = [member for member in listed if wanted(member.filename)]
            _check_sizes(kept, size)
            return {member.filename: archive.read(member) for member in kept}
    except CheckpointError:
        raise
    except DAMAGE as error:
        raise CheckpointError(f"damaged zip: {one_line(error)}") from error


def _check_names(listed: Sequence[zipfile.ZipInfo]) -> None:
    if len(listed) > MAXIMUM_MEMBERS:
        raise CheckpointError(f"{len(listed)} members, at most {MAXIMUM_MEMBERS} are read")
    seen: set[str] = set()
    for member in listed:
        if member.filename in seen:
            raise CheckpointError(f"two members named {member.filename:.80}")
        seen.add(member.filename)


def _check_sizes(listed: Sequence[zipfile.ZipInfo], size: int) -> None:
    for member in listed:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise CheckpointError(
                f"{member.filename:.80}: compression {member.compress_type}, "
                "expected stored or deflated"
            )
    if sum(member.compress_size for member in listed) > size:
        raise CheckpointError(f"damaged zip: its members are longer than its {size} bytes")
    expanded = sum(member.file_size for member in listed)
    if expanded > min(MAXIMUM_BYTES, MAXIMUM_EXPANSION * size):
        raise CheckpointError(f"{size} bytes would expand to {expanded}")
