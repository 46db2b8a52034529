"""Marian's binary lexical shortlist (.s2t.bin).

Little endian: six u64 {magic, checksum, frequent, best, number of offsets, number of tokens}; the
offsets, u64 each, one more than there are source tokens; the tokens, u32 each: the target tokens
that each source token was most often aligned with, at most `best` of them.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np

from int8ref.files.container import ModelFileError
from int8ref.files.shortlist import Shortlist, tokenizers_hash
from weights_import.errors import CheckpointError

PATTERN = "*.s2t.bin"
MAGIC = 0xF11A48D5013417F5
HEADER = struct.Struct("<6Q")
MAXIMUM_BYTES = 1 << 28
WORD = (1 << 64) - 1


def find(checkpoint: Path) -> Path | None:
    """The shortlist beside a checkpoint, if there is exactly one.

    Raises CheckpointError if there are several.
    """
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    found = sorted(folder.glob(PATTERN))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise CheckpointError(f"{folder}: several shortlists, name one of them: {names}")
    return found[0] if found else None


def read(path: Path, source: bytes, target: bytes) -> Shortlist:
    """Reads a shortlist for a model with these tokenizers: where they are equal, source and target
    have one vocabulary.

    Raises CheckpointError that says what is wrong; sizes are checked before anything is allocated.
    """
    size = path.stat().st_size
    if not HEADER.size <= size <= MAXIMUM_BYTES:
        raise CheckpointError(f"{path}: {size} bytes, not {HEADER.size} to {MAXIMUM_BYTES}")
    content = path.read_bytes()
    magic, checksum, frequent, _, offset_count, token_count = HEADER.unpack_from(content)
    if magic != MAGIC:
        raise CheckpointError(f"{path}: not a binary shortlist of Marian")
    wanted = HEADER.size + 8 * offset_count + 4 * token_count
    if size != wanted:
        raise CheckpointError(f"{path}: {size} bytes where its header tells of {wanted}")
    if _checksum(content[16:]) != checksum:
        raise CheckpointError(f"{path}: damaged: the checksum is not that of the content")
    offsets = np.frombuffer(content, "<u8", offset_count, HEADER.size)
    tokens = np.frombuffer(content, "<u4", token_count, HEADER.size + 8 * offset_count)
    narrow = int(tokens.max(initial=0)) < 1 << 15
    try:
        return Shortlist(
            frequent=frequent,
            shared=source == target,
            tokenizers=tokenizers_hash(source, target),
            offsets=offsets.astype(np.int32),
            tokens=tokens.astype(np.int16 if narrow else np.int32),
            provenance={
                "shortlist": path.name,
                "shortlist_sha256": hashlib.sha256(content).hexdigest(),
            },
        )
    except ModelFileError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _checksum(content: bytes) -> int:
    """Every u64 mixed into the sum of those before; a rest of less than eight bytes is left out."""
    total = 0
    for word in np.frombuffer(content[: len(content) // 8 * 8], "<u8").tolist():
        total ^= (word + 0x9E3779B9 + (total << 6) + (total >> 2)) & WORD
    return total
