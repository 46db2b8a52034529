"""What the vocabulary of a model lacks in the lines of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from int8ref.results import Unknown


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
