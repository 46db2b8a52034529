"""What a long job tells of itself while somebody waits for it.

The job runs elsewhere, in a thread or a process, and hands over its steps; whoever needs what it
makes follows them.  A step is logged when it comes.  While it lasts, its text is logged again and
again at the level `PROGRESS`, with the seconds it has taken, for a line that moves.
"""

from __future__ import annotations

import logging
import queue
import time

PROGRESS = logging.DEBUG + 5
"""Level of what is out of date a moment later."""
INTERVAL_SECONDS = 1


class Steps:
    """The steps of a job, from the thread that has them to the one that waits."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: queue.SimpleQueue[tuple[int, str] | None] = queue.SimpleQueue()

    def tell(self, level: int, text: str) -> None:
        """The next step, or at the level `PROGRESS` how far the last one is."""
        self._told.put((level, text))

    def end(self) -> None:
        """There are no more."""
        self._told.put(None)

    def follow(self) -> None:
        """Log all steps as they come, to the end."""
        text, begun = "", time.monotonic()
        while True:
            try:
                told = self._told.get(timeout=INTERVAL_SECONDS)
            except queue.Empty:
                seconds = time.monotonic() - begun
                self._log.log(PROGRESS, "%s (%d s)", text, int(seconds))
                continue
            if told is None:
                return
            level, text = told
            if level != PROGRESS:
                begun = time.monotonic()
            self._log.log(level, text)
