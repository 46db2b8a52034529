"""One file a checkpoint format, found by its content and not by its name.

A format is a module in this folder with `FORMAT` (its name for people), `recognises(path)` (a look
at the first bytes, which never raises for a readable file), `read(path)`, and `companions(path)`,
the files beside it that `read` may read too.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol, cast

from weights_import.float_model import CheckpointError, FloatModel


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

    Raises CheckpointError if the format is unknown (and lists the known ones), or if a folder holds
    none or several.
    """
    if not path.exists():
        raise CheckpointError(f"{path}: no such file or folder")
    known = formats()
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [
        (file, source)
        for file in files
        if file.is_file()
        for source in known
        if source.recognises(file)
    ]
    if not found:
        names = "; ".join(source.FORMAT for source in known)
        raise CheckpointError(f"{path}: no checkpoint of a known format ({names})")
    if len(found) > 1:
        names = ", ".join(file.name for file, _ in found)
        raise CheckpointError(f"{path}: several checkpoints, name one of them: {names}")
    return found[0]
