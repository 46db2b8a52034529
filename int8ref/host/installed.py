"""Finds installed distributions on the import path by the names of their folders.

`importlib.metadata` also finds them, but importing it takes a tenth of a warm start.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SUFFIX = ".dist-info"
PACKAGE = Path(__file__).parents[1]
"""The folder of the package int8ref."""


def information(distribution: str) -> Path | None:
    """Return the first folder NAME-VERSION.dist-info of a distribution on the import path, or None.

    The comparison of names follows PEP 503: it ignores case, and `-`, `_` and `.` are equal.
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
    """Return the version of a distribution.  Raises `importlib.metadata.PackageNotFoundError`."""
    folder = information(distribution)
    if folder is not None:
        return folder.name.removesuffix(SUFFIX).rpartition("-")[2]
    import importlib.metadata  # finds distributions that are installed in other ways

    return importlib.metadata.version(distribution)


def ours() -> str:
    """Return the version of int8ref.  The package may be importable without being installed."""
    try:
        return version("int8ref")
    except ModuleNotFoundError:
        return "0 (not installed)"


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
