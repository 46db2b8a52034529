"""The progress of a run: lines done, lines in all, and the time left."""

from __future__ import annotations

from collections.abc import Callable

from int8ref.commands.console import Console


class Progress:
    """Tells how many lines are done, of how many, and the time that is left."""

    def __init__(
        self,
        console: Console,
        total: Callable[[], int | None] | None,
        before: int,
        wanted: bool,
    ) -> None:
        """Begin.

        total   returns the number of lines; it is called at the first message
        before  lines that an earlier run has done
        """
        self._console, self._total, self._before = console, total, before
        self._done = 0
        self._lines: int | None = None
        console.start_progress(wanted)

    def __call__(self, more: int) -> None:
        """Count more lines, and tell the progress at intervals."""
        self._done += more
        self._console.progress(self._described)

    def _described(self, seconds: float) -> str:
        if self._total is not None:
            self._lines, self._total = self._total(), None
        done, rate = self._before + self._done, f"{self._done / seconds:.1f} lines/s"
        if not self._lines or not self._done or done > self._lines:
            return f"{done} lines, {rate}"
        left = int(seconds * (self._lines - done) / self._done)
        share = 100 * done // self._lines
        return f"{done} of {self._lines} lines, {share} %, {rate}, {duration(left)} left"


def duration(seconds: int) -> str:
    """Return a duration in its two largest units, such as "2 h 41 min"."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
