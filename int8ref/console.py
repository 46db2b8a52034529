"""What a command tells its user: messages on stderr, and a progress line on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

INTERVAL_SECONDS = 0.2


class Console:
    """Writes to stderr; when `quiet`, errors only."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._begun = self._told = time.monotonic()
        self._shown = False
        self._width = 0

    def say(self, message: str) -> None:
        """Information or a warning."""
        if not self._quiet:
            self._print(message)

    def error(self, message: str) -> None:
        """What went wrong."""
        self._print(f"error: {message}")

    def start_progress(self, wanted: bool) -> None:
        """From now on show progress, if `wanted` and there is a terminal to show it on."""
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shown = wanted and terminal and not self._quiet
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
            sys.stderr.write("\r")
            sys.stderr.flush()

    def _print(self, message: str) -> None:
        if sys.stderr is not None:
            self.clear()
            print(f"int8ref: {message}", file=sys.stderr, flush=True)

    def _rewrite(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(self._width))
        sys.stderr.flush()
        self._width = len(text)
