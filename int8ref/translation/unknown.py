"""Counts the characters of a run that the vocabulary of a model lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from int8ref.results import Unknown


SHOWN = 8
"""Largest number of characters in the message."""


class UnknownCharacters:
    """The characters in the lines of a run that the vocabulary lacks.

    White space and control characters do not count, because they do not change the meaning of a
    text.
    """

    def __init__(self) -> None:
        self.characters = self.lines = 0
        self._first: dict[str, None] = {}

    def add(self, *unknown: Unknown) -> None:
        """Add the unknown characters of one line."""
        texts = (text for places in unknown for _, text in places)
        seen = [c for text in texts for c in text if c.isprintable() and not c.isspace()]
        self.characters += len(seen)
        self.lines += bool(seen)
        if len(self._first) <= SHOWN:
            self._first |= dict.fromkeys(seen)

    def tell(self, warn: Callable[[str], None]) -> None:
        """Call `warn` with a message if there are unknown characters."""
        if not self.characters:
            return
        first = [*self._first]
        shown = " ".join(first[:SHOWN]) + " ..." * (len(first) > SHOWN)
        characters = counted(self.characters, "character")
        lines = counted(self.lines, "line")
        told = f"the model's vocabulary lacks {characters} in {lines}, each is read as unknown"
        warn(f"{told}: {shown}")


def counted(number: int, noun: str) -> str:
    """Return the number and the noun, such as `1 line` and `2 lines`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
