"""What a command tells its user: messages on stderr, and a progress line on a terminal."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable

from int8ref.host.progress import PROGRESS
from int8ref.text.streams import tell

INTERVAL_SECONDS = 0.2
HEARTBEAT_SECONDS = 10
"""How often is told how far a long step is where there is no terminal, on which a line moves."""
LEVELS = ("debug", "info", "warning", "error")


class Console(logging.Handler):
    """Writes to stderr what is at least of `level`, its own messages and those of the library.

    What a user should know is of the level info, what lost or may lose something a warning.
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
        """What went wrong."""
        self.say(f"error: {message}")

    def say(self, message: str) -> None:
        """What was asked for, and so is told at every level."""
        self.clear()
        self._told = time.monotonic()
        tell(f"int8ref: {message}\n")

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        if record.levelno != PROGRESS:
            self.say(record.getMessage())
        elif _on_terminal():
            self._rewrite(f"int8ref: {record.getMessage()}")
        elif time.monotonic() - self._told >= HEARTBEAT_SECONDS:
            self.say(record.getMessage())

    def start_progress(self, wanted: bool) -> None:
        """From now on show progress, if `wanted` and there is a terminal to show it on."""
        self._shown = wanted and _on_terminal() and self.level <= logging.INFO
        self._begun = time.monotonic()

    def progress(self, describe: Callable[[float], str]) -> None:
        """Rewrite the progress line, now and then; `describe` is given the seconds so far."""
        now = time.monotonic()
        if self._shown and now - self._told >= INTERVAL_SECONDS:
            self._told = now
            self._rewrite(describe(now - self._begun))

    def clear(self) -> None:
        """Take the progress line away."""
        if self._width:
            self._rewrite("")
            tell("\r")

    def _rewrite(self, text: str) -> None:
        """Another text on the line, as much of it as the terminal has room for."""
        text = text[: shutil.get_terminal_size().columns - 1]
        tell("\r" + text.ljust(self._width))
        self._width = len(text)


def _on_terminal() -> bool:
    """Whether stderr is a terminal."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is no stderr, or it is closed
        return False
