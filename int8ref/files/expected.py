"""Compares the file that an import gives with the file that it gives on every other machine."""

from __future__ import annotations

import logging
from pathlib import Path

from int8ref.files.model_file import model_hash

WARNING = (
    "importing %s gave another file than expected: its SHA-256 is %s, not %s.  Every machine should"
    " give the expected file, so please report this to the developers of int8ref: both SHA-256; the"
    " output of python -m int8ref.translate -m %s --signature; whether the checkpoint is from %s;"
    " the versions of Python, NumPy, Numba and zlib; and the CPU.  The model works, but its"
    " translations can differ from the translations on other machines.  With --sha256 %s, int8ref"
    " uses only the expected file"
)
"""The data of a report show whether the arithmetic, the compression or the checkpoint differs."""

_log = logging.getLogger(__name__)


def compare(name: str, path: Path, expected: str, source: str) -> None:
    """Log one warning if an import has given another file.

    name      name of the model
    path      file of the model
    expected  SHA-256 of the file on every machine.  "": not known, and nothing is compared.
    source    distribution of the checkpoint, and its version

    Raises `ModelFileError`.
    """
    if expected and (found := model_hash(path)) != expected:
        _log.warning(WARNING, name, found, expected, name, source, expected)
