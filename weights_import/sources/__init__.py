"""The readers: one file for each checkpoint format, which the content of a file selects.

A format is a module in this folder with `FORMAT` (its name for people), `recognises(path)` (a look
at the first bytes, which never raises for a readable file), `read(path)`, and `companions(path)`,
the files beside it that `read` may read too.  Where it is one of several kinds of models that the
same configuration tells apart, `KINDS` are those.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol, cast

from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.sources import containers
from weights_import.sources.unreadable import reason

DEPTH, MAXIMUM_FOLDERS, MAXIMUM_FILES = 3, 64, 4096
"""The limits of the search in a folder: its depth, the folders at each depth, the files of each."""


class Source(Protocol):
    """What a module of this folder offers when it reads a format."""

    FORMAT: str

    def recognises(self, path: Path) -> bool: ...

    def read(self, path: Path) -> FloatModel: ...

    def companions(self, path: Path) -> list[Path]: ...


def formats() -> list[Source]:
    """Every format module of this folder, in the order of the file names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return [cast(Source, module) for module in modules if hasattr(module, "recognises")]


def read(path: Path | str) -> FloatModel:
    """Reads a checkpoint: a file, or a folder that holds exactly one.

    Raises CheckpointError if there is not exactly one of a known format, or if it is damaged or
    unsupported.  No code of a file is run.
    """
    file, source = _find(Path(path))
    return source.read(file)


def files(path: Path) -> list[Path]:
    """The files that `read(path)` reads: the checkpoint, then what belongs to it.

    Raises CheckpointError if there is not exactly one checkpoint of a known format.
    """
    file, source = _find(path)
    return [file, *source.companions(file)]


def _find(path: Path) -> tuple[Path, Source]:
    """The checkpoint that `path` is or holds, and its format.

    The search goes on in the folders of a folder without a checkpoint, because packages of Argos
    Translate and downloads have such folders.  Raises CheckpointError without a checkpoint, with
    the reason if it is known, and for several checkpoints.
    """
    if not path.exists():
        raise CheckpointError(f"{path}: no such file or folder")
    known = formats()
    folders = [path]
    for _ in range(1 + DEPTH):
        found = [one for folder in folders for one in _checkpoints(folder, known)]
        if found:
            break
        folders = [one for folder in folders for one in _folders(folder)][:MAXIMUM_FOLDERS]
    if not found:
        kinds = [kind for source in known for kind in getattr(source, "KINDS", ())]
        if said := reason(path, kinds):
            raise CheckpointError(said)
        names = "; ".join(source.FORMAT for source in known)
        raise CheckpointError(f"{path}: no checkpoint of a known format ({names})")
    if len(found) > 1:
        names = ", ".join(str(file.relative_to(path)) for file, _ in found)
        raise CheckpointError(f"{path}: several checkpoints, name one of them: {names}")
    return found[0]


def _checkpoints(path: Path, known: list[Source]) -> list[tuple[Path, Source]]:
    """The checkpoints that a folder holds, or that a file is or is a part of, and their formats."""
    listed = sorted(path.iterdir())[:MAXIMUM_FILES] if path.is_dir() else [path]
    files = containers.whole(file for file in listed if file.is_file())
    with containers.one_look():
        readers = {file: [one for one in known if one.recognises(file)] for file in files}
    found = ((source, [file for file in files if source in readers[file]]) for source in known)
    return [(file, source) for source, its in found for file in containers.preferred(its)]


def _folders(path: Path) -> list[Path]:
    """The folders in a folder, in order, but for hidden ones; none of a file."""
    if not path.is_dir():
        return []
    return sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
