"""Lines of plain, gzip or xz text files."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}


def read_lines(root: Path, names: Iterable[str]) -> list[str]:
    """Lines of the files, in order, stripped of surrounding white space.

    Only the newline ends a line (no Unicode line separators), so parallel files stay parallel.
    """
    lines: list[str] = []
    for name in names:
        path = root / name
        if not path.is_file():
            raise FileNotFoundError(f"no text file {path}")
        with OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8", newline="\n") as stream:
            lines += [line.strip() for line in stream]
    return lines
