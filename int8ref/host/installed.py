"""Installed distributions, found on the import path by the names of their folders.

`importlib.metadata` finds them too, but importing it takes a tenth of a warm start.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SUFFIX = ".dist-info"
PACKAGE = Path(__file__).parents[1]
"""The folder of int8ref."""


def information(distribution: str) -> Path | None:
    """The folder NAME-VERSION.dist-info of a distribution, the first on the import path.

    Names are compared as PEP 503 has it: case, `-`, `_` and `.` make no difference.
    """
    wanted = _normalized(distribution)
    for entry in sys.path:
        try:
            found = sorted(Path(entry).glob(f"*{SUFFIX}"))
        except OSError:
            continue
        for folder in found:
            if _normalized(folder.name.removesuffix(SUFFIX).rpartition("-")[0]) == wanted:
                return folder
    return None


def version(distribution: str) -> str:
    """Its version.  Raises `importlib.metadata.PackageNotFoundError`."""
    folder = information(distribution)
    if folder is not None:
        return folder.name.removesuffix(SUFFIX).rpartition("-")[2]
    import importlib.metadata  # knows the other ways to install

    return importlib.metadata.version(distribution)


def ours() -> str:
    """The version of int8ref, which may lie on the import path without being installed."""
    try:
        return version("int8ref")
    except ModuleNotFoundError:
        return "0 (not installed)"


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
