"""Starts the service, and asks it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.helpers.processes import TIMEOUT, Command, start

SERVING = re.compile(r"http://127\.0\.0\.1:(\d+)/")


class Service:
    """A service in a process of its own.

    port  the port at which it listens
    told  the lines of its standard error
    """

    def __init__(self, *arguments: str, program: str | None = None) -> None:
        """Start a service.  `program`: Python code that runs in place of the module."""
        code = ["-m", "int8ref.serve"] if program is None else ["-c", program]
        command: Command = [sys.executable, *code, "--port", "0", *arguments]
        self.process = start(command, stdin=subprocess.DEVNULL)
        self.told: list[str] = []
        self.port = 0
        listening = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(listening,), daemon=True)
        self._reader.start()
        assert listening.wait(TIMEOUT)
        assert self.port, self.told

    def _read(self, listening: threading.Event) -> None:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            self.told.append(raw.decode())
            if found := SERVING.search(self.told[-1]):
                self.port = int(found[1])
                listening.set()
        listening.set()

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the service by a signal.  Return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return status

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send a request: GET without a body, else POST.  Return status, headers and body.

        A body that is not bytes is sent as JSON.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent = {"content-type": "application/json", **sent}
        connection.request("GET" if body is None else "POST", path, body, sent)
        answer = connection.getresponse()
        found = answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def json(self, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        """Send a request, and return the JSON of its answer, which must have the status."""
        found, _, content = self.ask(path, body, **headers)
        assert found == status, content
        return json.loads(content)


@contextmanager
def serving(*arguments: str, program: str | None = None) -> Iterator[Service]:
    """Run a service.  The arguments are those of `Service`."""
    service = Service(*arguments, program=program)
    try:
        yield service
    finally:
        assert service.stop() == 0
