"""Writes messages to standard error, and a progress line to a terminal."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable

from int8ref.host.progress import PROGRESS
from int8ref.text.streams import tell

INTERVAL_SECONDS = 0.2
MINUTE_SECONDS = 60
"""Interval of the progress of a run where standard error is no terminal."""
HEARTBEAT_SECONDS = 10
"""Interval of progress messages where standard error is no terminal."""
LEVELS = ("debug", "info", "warning", "error")


class Console(logging.Handler):
    """Writes messages of the command and of the library to standard error, from `level` on.

    The level info is for information.  The level warning is for a loss or a possible loss.
    """

    def __init__(self, level: str) -> None:
        super().__init__(level.upper())
        self._begun = self._told = time.monotonic()
        self._shown = False
        self._width = 0
        log = logging.getLogger("int8ref")
        log.handlers, log.propagate = [self], False
        if self.level == logging.INFO:
            self.setLevel(PROGRESS)
        log.setLevel(self.level)
        self.debug, self.info, self.warning = log.debug, log.info, log.warning

    def error(self, message: str) -> None:
        """Write an error message."""
        self.say(f"error: {message}")

    def say(self, message: str) -> None:
        """Write a message at every level, because the user has asked for it."""
        self.clear()
        self._told = time.monotonic()
        tell(f"int8ref: {message}\n")

    def emit(self, record: logging.LogRecord) -> None:
        """Implement `logging.Handler.emit`."""
        if record.levelno != PROGRESS:
            self.say(record.getMessage())
        elif _on_terminal():
            self._rewrite(f"int8ref: {record.getMessage()}")
        elif time.monotonic() - self._told >= HEARTBEAT_SECONDS:
            self.say(record.getMessage())

    def start_progress(self, wanted: bool) -> None:
        """Start the progress if it is `wanted`: a line on a terminal, else a message a minute."""
        self._shown = wanted and self.level <= logging.INFO
        self._begun = self._told = time.monotonic()

    def progress(self, describe: Callable[[float], str]) -> None:
        """Tell the progress at intervals.  `describe` gets the seconds since the start."""
        now = time.monotonic()
        if not self._shown or now - self._told < INTERVAL_SECONDS:
            return
        if _on_terminal():
            self._told = now
            self._rewrite(describe(now - self._begun))
        elif now - self._told >= MINUTE_SECONDS:
            self.say(describe(now - self._begun))

    def clear(self) -> None:
        """Remove the progress line."""
        if self._width:
            self._rewrite("")
            tell("\r")

    def _rewrite(self, text: str) -> None:
        """Replace the text of the line.  The width of the terminal limits the text."""
        text = text[: shutil.get_terminal_size().columns - 1]
        tell("\r" + text.ljust(self._width))
        self._width = len(text)


def _on_terminal() -> bool:
    """Return whether standard error is a terminal."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # standard error is missing or closed
        return False
