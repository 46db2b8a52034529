"""Measures the service: requests a processor second, and its memory over many requests.

python -m benchmarks.service --text lines.txt
python -m benchmarks.service --text lines.txt --requests 10000 --clients 50 --threads 1

The command starts `python -m int8ref.serve`, and sends one line in each request, by clients that
each wait for an answer before the next request.  The processor time is the time of the service
alone, with HTTP, without its start.  The same lines by `translate()` one by one, in this process,
are the comparison.  Every answer must be the text that `int8ref.document` writes.  The memory is
the resident set of the service after the first tenth of the requests and at the end.  This needs
Linux (/proc).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

SERVING = re.compile(r"http://127\.0\.0\.1:(\d+)/")
WARM = 10
"""The share of the requests that come before the measurement: one of so many."""


class Served:
    """A service in a process of its own.

    port  the port at which it listens
    """

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "int8ref.serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        told = []
        for line in self.process.stderr:
            told.append(line)
            if found := SERVING.search(line):
                self.port = int(found[1])
                return
        raise RuntimeError(f"the service did not start: {''.join(told)}")

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)

    @property
    def seconds(self) -> float:
        """Processor seconds so far, of all threads."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text()
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    @property
    def bytes(self) -> int:
        """The resident set."""
        text = Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def request_of(path: str, content: object) -> bytes:
    """Return a request with a JSON body."""
    body = msgspec.json.encode(content)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read an answer with a length.  Return its status and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length:")[2].split("\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


async def ask(port: int, requests: Sequence[bytes], clients: int) -> list[tuple[int, bytes]]:
    """Send requests by several clients at once.  Return the answers in the order of requests."""
    answers: list[tuple[int, bytes]] = [(0, b"")] * len(requests)
    places = iter(range(len(requests)))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for place in places:
            writer.write(requests[place])
            answers[place] = await answer_of(reader)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--text", type=Path, required=True, help="file of sentences, one a line")
    add("--model", default="en-pt", help="a model of one pair of languages (default: en-pt)")
    add("--requests", type=int, default=5000, help="default: 5000")
    add("--clients", type=int, default=50, help="default: 50")
    add("--threads", default="1", help="threads of the service (default: 1)")
    given = parser.parse_args(arguments)
    lines = [line for line in given.text.read_text("utf-8").splitlines() if line.strip()]
    lines = [lines[place % len(lines)] for place in range(given.requests)]

    import int8ref
    from int8ref.documents.inline import Segment, visible
    from int8ref.documents.translate import translate_documents

    translator = int8ref.load(given.model)
    assert isinstance(translator, int8ref.Translator)
    source, target = translator.model.languages
    documents = [[Segment([line], visible)] for line in lines]
    wanted = dict(zip(lines, translate_documents(translator, documents), strict=True))
    alone = lines[: max(1, given.requests // 5)]
    begun = time.process_time()
    for line in alone:
        translator.translate(line)
    rate = len(alone) / (time.process_time() - begun)
    print(f"translate() one by one: {rate:.0f} requests a processor second")

    requests = [
        request_of("/translate", {"q": line, "source": source, "target": target}) for line in lines
    ]
    first = len(requests) // WARM
    with Served("-m", given.model, "--threads", given.threads) as served:
        answers = asyncio.run(ask(served.port, requests[:first], given.clients))
        memory, seconds, wall = served.bytes, served.seconds, time.monotonic()
        answers += asyncio.run(ask(served.port, requests[first:], given.clients))
        seconds, wall = served.seconds - seconds, time.monotonic() - wall
        grown = served.bytes - memory
    count = len(requests) - first
    served_rate = count / seconds
    print(
        f"service, {given.clients} clients: {served_rate:.0f} requests a processor second,"
        f" {served_rate / rate:.2f} times as many; {count / wall:.0f} requests a second"
    )
    print(f"memory: {memory / 1e6:.1f} MB after {first} requests, {grown / 1e6:+.1f} MB at the end")
    same = sum(
        status == 200 and msgspec.json.decode(body) == {"translatedText": wanted[line]}
        for line, (status, body) in zip(lines, answers, strict=True)
    )
    print(f"the same text as int8ref.document: {same} of {len(lines)}")
    return 0 if same == len(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
