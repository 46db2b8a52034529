"""Chromium without a screen, by its debugging protocol over pipes.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 120


class Browser:
    """One page.

    events  all events of the page that arrived
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = os.fdopen(reading, "rb")
        self._writing = os.fdopen(writing, "wb")
        self._number = 0
        self._session: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []

    def open(self, address: str) -> None:
        """Open a page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=address)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        self._writing.write(json.dumps(message).encode() + b"\0")
        self._writing.flush()
        while True:
            told = json.loads(self._next())
            if told.get("id") == self._number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def _next(self) -> bytes:
        content = bytearray()
        while (byte := self._reading.read(1)) != b"\0":
            assert byte, "the browser ended"
            content += byte
        return bytes(content)

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        told = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < deadline, expression
            time.sleep(0.02)

    def close(self) -> None:
        """Close the pipes."""
        self._reading.close()
        self._writing.close()


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run Chromium.  `folder`: for its profile."""
    (child_reads, writing), (reading, child_writes) = os.pipe(), os.pipe()
    flags = "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run"
    command = (
        f"exec {CHROMIUM} {flags} --remote-debugging-pipe --user-data-dir={folder}"
        f" 3<&{child_reads} 4>&{child_writes}"
    )
    process = subprocess.Popen(
        ["bash", "-c", command], pass_fds=(child_reads, child_writes), stderr=subprocess.DEVNULL
    )
    os.close(child_reads)
    os.close(child_writes)
    found = Browser(reading, writing)
    try:
        yield found
        found._session = {}
        found.call("Browser.close")
    finally:
        found.close()
        process.kill()
        process.wait(PATIENCE)
