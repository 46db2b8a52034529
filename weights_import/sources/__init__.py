"""One file a checkpoint format, found by its content and not by its name.

A format is a module in this folder with `FORMAT` (its name for people), `recognises(path)` (a look
at the first bytes, which never raises for a readable file) and `read(path)`.
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


def formats() -> list[Source]:
    """Every format module of this folder, in the order of the file names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return [cast(Source, module) for module in modules if hasattr(module, "recognises")]


def read(path: Path | str) -> FloatModel:
    """Reads a checkpoint: a file, or a folder that holds exactly one.

    Raises CheckpointError if the format is unknown (and lists the known ones), if a folder holds
    none or several, or if the checkpoint is damaged or unsupported.  No code of a file is run.
    """
    path = Path(path)
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
    file, source = found[0]
    return source.read(file)
