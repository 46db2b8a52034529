"""Logs the progress of a long job while another thread waits for it.

The job runs in a thread or a process, and sends its steps.  The waiting thread follows the steps:
it logs each step when the step arrives.  While the step lasts, it logs the text again at the level
`PROGRESS`, with the seconds so far.  A console shows these messages as one changing line.
"""

from __future__ import annotations

import logging
import queue
import time

PROGRESS = logging.DEBUG + 5
"""Level of messages that are obsolete a moment later."""
INTERVAL_SECONDS = 1


class Steps:
    """The steps of a job, as a queue from the job to the waiting thread."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: queue.SimpleQueue[tuple[int, str] | None] = queue.SimpleQueue()

    def tell(self, level: int, text: str) -> None:
        """Send the next step.  At the level `PROGRESS`, send the progress of the current step."""
        self._told.put((level, text))

    def end(self) -> None:
        """Send the end of the job."""
        self._told.put(None)

    def follow(self) -> None:
        """Log all steps as they arrive, until the job ends."""
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
