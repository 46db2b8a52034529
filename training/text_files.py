"""Reads lines of plain, gzip or xz text files."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
    """Return the lines of the files in order, see `Text`."""
    return list(Text(root, names, lowercase))


@dataclass(frozen=True)
class Text:
    """The lines of files in order, without surrounding white space.  Each pass reads the files.

    `lowercase`: lower-case the lines.  Only the line feed ends a line.  Unicode line separators do
    not end a line, so that parallel files stay parallel.
    """

    root: Path
    names: Iterable[str]
    lowercase: bool = False

    def __iter__(self) -> Iterator[str]:
        for name in self.names:
            path = self.root / name
            if not path.is_file():
                raise FileNotFoundError(f"no text file {path}")
            opener = OPENERS.get(path.suffix, open)
            with opener(path, "rt", encoding="utf-8", newline="\n") as stream:
                for line in stream:
                    yield line.strip().lower() if self.lowercase else line.strip()
