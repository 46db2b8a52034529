"""The containers of checkpoints of Hugging Face's transformers.

They are safetensors, files of torch.save, and parts of either with an index.  The first bytes of a
file tell which one it is.  A reader calls `contents`, and need not know the container.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from weights_import.errors import CheckpointError
from weights_import.sources import safetensors_file, shards, torch_file
from weights_import.sources.safetensors_file import Contents, header_bytes
from weights_import.sources.signatures import HEAD_BYTES, stand_in

PART = re.compile(r"-\d{5}-of-\d{5}\.")
"""A part of the name of a checkpoint in parts."""
AFTER = rb'["qrhc(\x94]'
"""What follows a name in the text of JSON, and in a pickle."""
TITLES = "an index", "a checkpoint of PyTorch", "a safetensors"

_looks: ContextVar[dict[Path, bytes] | None] = ContextVar("_looks", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Within it, `outline` reads a file once, until it is asked for another file.

    All readers are asked whether they recognise a file, and each of them looks at its outline.
    """
    before = _looks.set({})
    try:
        yield
    finally:
        _looks.reset(before)


def outline(path: Path) -> bytes:
    """The part of a file that names its tensors; empty for what is no container.

    A look that never raises for a readable file.
    """
    last = _looks.get()
    if last is None:
        return _outline(path)
    if path not in last:
        last.clear()
        last[path] = _outline(path)
    return last[path]


def _outline(path: Path) -> bytes:
    return shards.outline(path) or torch_file.outline(path) or header_bytes(path)


def names_tensor(path: Path, ending: str) -> bool:
    """Whether a file has a tensor of this name, which may have a prefix; a look likewise."""
    return re.search(re.escape(ending.encode()) + AFTER, outline(path)) is not None


def title(path: Path) -> str:
    """What to call a file in a message."""
    if shards.is_index(path):
        return TITLES[0]
    return TITLES[1] if torch_file.outline(path) else TITLES[2]


def contents(path: Path) -> Contents:
    """A checkpoint, whose tensors are read when they are used.

    Raises CheckpointError with what is wrong and where.
    """
    return shards.contents(path, _file) if shards.is_index(path) else _file(path)


def _file(path: Path) -> Contents:
    if torch_file.outline(path):
        return torch_file.contents(path)
    with path.open("rb") as file:
        if said := stand_in(file.read(HEAD_BYTES)):
            raise CheckpointError(said)
    return safetensors_file.contents(path)


def problem(path: Path) -> str:
    """What is wrong with a container, as `contents` tells; empty for a sound one."""
    try:
        contents(path)
    except CheckpointError as error:
        return str(error)
    return ""


def files(path: Path) -> list[Path]:
    """The parts of a checkpoint, if `path` is their index."""
    return shards.parts(path) if shards.is_index(path) else []


def is_part(path: Path) -> bool:
    """Whether a file is named as one of several that make up a checkpoint."""
    return PART.search(path.name) is not None


def whole(paths: Iterable[Path]) -> list[Path]:
    """The files, but for each part of a checkpoint its index."""
    listed = list(paths)
    index = {part: at for folder in {p.parent for p in listed} for part, at in _parts(folder)}
    return list(dict.fromkeys(index.get(path, path) for path in listed))


def _parts(folder: Path) -> Iterable[tuple[Path, Path]]:
    return shards.indexes(folder).items()


def preferred(paths: Iterable[Path]) -> list[Path]:
    """Of the files of one model in several containers, those in the first one: a safetensors, its
    parts, a file of PyTorch, its parts."""
    listed = list(paths)
    if len(listed) < 2:
        return listed
    ranks = {path: _rank(path) for path in listed}
    first = min(ranks.values(), default=None)
    return [path for path, rank in ranks.items() if rank == first]


def _rank(path: Path) -> tuple[bool, bool]:
    one = (shards.parts(path) or [path])[0] if shards.is_index(path) else path
    return bool(torch_file.outline(one)), shards.is_index(path)
