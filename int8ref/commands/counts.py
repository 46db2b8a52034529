"""How much was done, and how long it took: what --stats tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from int8ref.results import Result, Unknown

SHOWN = 8
"""Characters that are shown of all that the vocabulary lacks."""


class UnknownCharacters:
    """Characters that the vocabulary lacks, in the lines of a run.

    White space and control characters do not count: without them a text says the same.
    """

    def __init__(self) -> None:
        self.characters = self.lines = 0
        self._first: dict[str, None] = {}

    def add(self, *unknown: Unknown) -> None:
        """Those of one more line."""
        texts = (text for places in unknown for _, text in places)
        seen = [c for text in texts for c in text if c.isprintable() and not c.isspace()]
        self.characters += len(seen)
        self.lines += bool(seen)
        if len(self._first) <= SHOWN:
            self._first |= dict.fromkeys(seen)

    def tell(self, warn: Callable[[str], None]) -> None:
        """Say so, if there were any."""
        if not self.characters:
            return
        first = [*self._first]
        shown = " ".join(first[:SHOWN]) + " ..." * (len(first) > SHOWN)
        characters = counted(self.characters, "character")
        lines = counted(self.lines, "line")
        told = f"the model's vocabulary lacks {characters} in {lines}, each is read as unknown"
        warn(f"{told}: {shown}")


def counted(number: int, noun: str) -> str:
    """Such as `1 line` and `2 lines`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Counts:
    """How much there was, and how long it took."""

    def __init__(self) -> None:
        self.lines = self.source_tokens = self.tokens = self.truncated = 0
        self.unknown = UnknownCharacters()
        self._begun = time.monotonic()

    def add(self, results: Sequence[Result]) -> None:
        """Count these results too."""
        self.lines += len(results)
        for result in results:
            self.source_tokens += len(result.source_tokens)
            self.tokens += len(result.tokens)
            self.truncated += result.truncated
            self.unknown.add(result.unknown, *(t.unknown for t in result.translations))

    def describe(self) -> str:
        """All of it, on one line."""
        seconds = max(time.monotonic() - self._begun, 1e-9)
        return (
            f"{self.lines} lines ({self.truncated} cut), {self.source_tokens} source tokens,"
            f" {self.tokens} target tokens in {seconds:.2f} s:"
            f" {self.lines / seconds:.1f} lines/s, {self.tokens / seconds:.1f} target tokens/s"
        )
