"""Checkpoints in parts: `NAME.index.json` tells which file beside it has which tensor.

Such an index is a JSON object; its `weight_map` has the name of a file for each tensor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from weights_import.errors import CheckpointError
from weights_import.sources import json_file
from weights_import.sources.safetensors_file import Contents
from weights_import.tensors import Stored

INDEX, WEIGHTS = ".index.json", "weight_map"
NO_NAMES = frozenset("/\\:\0")
"""Characters that no name of a file in the same folder has, on any system."""
MAXIMUM_NAME_BYTES = 1 << 7
MAXIMUM_INDEX_BYTES = 1 << 24
MAXIMUM_INDEXES = 1 << 6
"""Of a folder, that are looked at."""


def is_index(path: Path) -> bool:
    """Whether a file is named as an index."""
    return path.name.endswith(INDEX)


def outline(path: Path) -> bytes:
    """An index, which names the tensors; empty for other files.

    A look that never raises for a readable file.
    """
    if not is_index(path) or path.stat().st_size > MAXIMUM_INDEX_BYTES:
        return b""
    return path.read_bytes()


def files_of_tensors(index: Path) -> dict[str, str]:
    """The name of the file of each tensor.

    Raises CheckpointError for what is no index, and for a name of a file in another folder.
    """
    told = json_file.parse_file(index)
    found = told.get(WEIGHTS) if isinstance(told, dict) else None
    if not isinstance(found, dict) or not found:
        raise CheckpointError(f"{index.name}: no {WEIGHTS} that tells the file of each tensor")
    for name in found.values():
        if not _is_name(name):
            raise CheckpointError(
                f"{index.name}: {name!r:.80} is no name of a file in the same folder, and no other"
                " file is read"
            )
    return found


def _is_name(name: object) -> bool:
    if not isinstance(name, str) or not name.isprintable() or NO_NAMES & set(name):
        return False
    if len(name.encode()) > MAXIMUM_NAME_BYTES or name.endswith(INDEX):
        return False
    return name.strip(". ") != ""


def parts(index: Path) -> list[Path]:
    """The files that an index lists and that are there; none where it is damaged."""
    try:
        names = sorted(set(files_of_tensors(index).values()))
    except CheckpointError:
        return []
    return [path for path in map(index.with_name, names) if path.is_file()]


def in_folder(folder: Path) -> list[Path]:
    """The indexes in a folder."""
    found = sorted(folder.glob(f"*{INDEX}"))[:MAXIMUM_INDEXES]
    return [path for path in found if path.is_file()]


def indexes(folder: Path) -> dict[Path, Path]:
    """The index that lists a part, for each part of a checkpoint in a folder."""
    return {part: index for index in in_folder(folder) for part in parts(index)}


def contents(index: Path, read: Callable[[Path], Contents]) -> Contents:
    """The tensors of all parts, each of which `read` reads.

    The digest is the SHA-256 of the lines that `sha256sum` prints for the parts, in the order of
    their names.  Raises CheckpointError for a part that is missing, that lacks a tensor, or that
    has a tensor of another part.
    """
    listed = files_of_tensors(index)
    tensors: dict[str, Stored] = {}
    lines = []
    for name in sorted(set(listed.values())):
        content = _part(index.with_name(name), index, read)
        lines.append(f"{content.sha256}  {name}\n")
        _check(name, content.tensors, tensors, listed)
        tensors |= content.tensors
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return Contents({}, tensors, digest)


def _part(path: Path, index: Path, read: Callable[[Path], Contents]) -> Contents:
    if not path.is_file():
        raise CheckpointError(
            f"{path.name} is missing, which {index.name} lists as a part; put all parts into the"
            " folder of the index"
        )
    try:
        return read(path)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from None


def _check(
    name: str,
    found: Mapping[str, Any],
    others: Mapping[str, Any],
    listed: Mapping[str, str],
) -> None:
    """Raises CheckpointError unless a part has the tensors that are listed, and no other part's."""
    lacking = [tensor for tensor, file in listed.items() if file == name and tensor not in found]
    twice = [tensor for tensor in found if tensor in others or listed.get(tensor, name) != name]
    if lacking:
        raise CheckpointError(
            f"{name}: it is another file than the index means, because it lacks {lacking[0]:.80}"
            + f" and {len(lacking) - 1} more tensors" * (len(lacking) > 1)
        )
    if twice:
        raise CheckpointError(f"{name}: {twice[0]:.80} is a tensor of another part too")
