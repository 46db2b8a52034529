"""Counts the work of a run for --stats."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from int8ref.translation.unknown import UnknownCharacters

if TYPE_CHECKING:
    from int8ref.results import Result


def of_a_batch(threads: int) -> str:
    """Tell how many threads computed one batch together, if there were several."""
    return f", up to {threads} threads on one batch" if threads > 1 else ""


class Counts:
    """Numbers of lines and tokens of a run, and its duration."""

    def __init__(self) -> None:
        self.lines = self.source_tokens = self.tokens = self.truncated = 0
        self.unknown = UnknownCharacters()
        self._begun = time.monotonic()

    def add(self, results: Sequence[Result]) -> None:
        """Add results."""
        self.lines += len(results)
        for result in results:
            self.source_tokens += len(result.source_tokens)
            self.tokens += len(result.tokens)
            self.truncated += result.truncated
            self.unknown.add(result.unknown, result.best.unknown)  # all share the prefix

    def describe(self) -> str:
        """Return all counts on one line."""
        seconds = max(time.monotonic() - self._begun, 1e-9)
        return (
            f"{self.lines} lines ({self.truncated} cut), {self.source_tokens} source tokens,"
            f" {self.tokens} target tokens in {seconds:.2f} s:"
            f" {self.lines / seconds:.1f} lines/s, {self.tokens / seconds:.1f} target tokens/s"
        )
