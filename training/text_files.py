"""Reads lines of plain, gzip or xz text files."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}


def read_parallel(source: str, target: str, lowercase: bool = False) -> tuple[list[str], list[str]]:
    """Return the lines of a text and of its translation.

    Raises ValueError if the numbers of lines differ.
    """
    found = read_lines(Path(), [source], lowercase), read_lines(Path(), [target], lowercase)
    if len(found[0]) != len(found[1]):
        raise ValueError(f"{len(found[0])} source lines, but {len(found[1])} target lines")
    return found


def read_lines(root: Path, names: Iterable[str], lowercase: bool = False) -> list[str]:
    """Return the lines of the files in order, without surrounding white space.

    `lowercase`: lower-case the lines.  Only the line feed ends a line.  Unicode line separators do
    not end a line, so that parallel files stay parallel.
    """
    lines: list[str] = []
    for name in names:
        path = root / name
        if not path.is_file():
            raise FileNotFoundError(f"no text file {path}")
        with OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8", newline="\n") as stream:
            lines += [line.strip() for line in stream]
    return [line.lower() for line in lines] if lowercase else lines
