"""The service under load: many clients, killed connections, full queues, and slow readers."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.service import answer_of, ask, request_of
from int8ref import LanguageModel, Options, Translator
from int8ref.documents.inline import Segment, visible
from int8ref.documents.translate import translate_documents
from tests.helpers.models import SENTENCES
from tests.helpers.processes import run, until
from tests.helpers.served_models import LANGUAGE_MODEL, TRANSLATORS, files
from tests.helpers.services import Service, serving

pytest.importorskip("uvicorn", reason="the extra serve is absent")
WORDS = " ".join(SENTENCES).split()


def lines(count: int) -> list[str]:
    """Return lines of many lengths, all different."""
    return [" ".join([*WORDS[i % 29 : i % 29 + 1 + i % 7], str(i)]) for i in range(count)]


def translation(line: str) -> bytes:
    return request_of("/translate", {"q": line, "source": "en", "target": "pt"})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return files(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def service(models: dict[str, Path]) -> Iterator[Service]:
    options = [f"-m{models[name]}" for name in ("tiny-translation", "tiny-rotary")]
    with serving(*options, "--threads=2", "--batch-size=8", "--max-queue=100") as found:
        yield found


def check(port: int, count: int, clients: int) -> None:
    """Ask for translations by many clients, and compare each with the Python interface."""
    texts = lines(count)
    answers = asyncio.run(ask(port, [translation(line) for line in texts], clients))
    assert {status for status, _ in answers} == {200}
    found = [json.loads(body)["translatedText"] for _, body in answers]
    translator = Translator(TRANSLATORS["tiny-translation"])
    assert found == translate_documents(translator, [[Segment([t], visible)] for t in texts])


def test_many_clients_get_the_texts_of_the_command(service: Service) -> None:
    check(service.port, 200, 20)


def test_killed_connections_disturb_nobody(service: Service) -> None:
    """Clients go in the middle of a request, and before its answer."""
    for line in lines(20):
        content = translation(line)
        for sent in (content, content[: len(content) // 2]):
            with socket.create_connection(("127.0.0.1", service.port)) as gone:
                gone.sendall(sent)
    check(service.port, 50, 10)
    until(lambda: b"requests_active 1\n" in service.ask("/metrics")[2])


def test_a_full_queue_refuses(service: Service) -> None:
    asked = {"q": "\n".join(["The cat"] * 101), "source": "en", "target": "pt"}
    status, headers, content = service.ask("/translate", json.dumps(asked).encode())
    assert (status, headers["retry-after"]) == (503, "5")
    assert "waiting already" in json.loads(content)["error"]
    check(service.port, 5, 1)


def test_completions_of_many_clients(service: Service) -> None:
    """Greedy and drawn texts, of several seeds, come in any order."""
    model, prompts = LanguageModel(LANGUAGE_MODEL), lines(24)
    base = {"model": "tiny-rotary", "max_tokens": 12}
    bodies = [
        {**base, "prompt": prompt, "temperature": i % 3, "seed": i % 5}
        for i, prompt in enumerate(prompts)
    ]
    sent = [request_of("/v1/completions", body) for body in bodies]
    answers = asyncio.run(ask(service.port, sent, 12))
    for body, (status, content) in zip(bodies, answers, strict=True):
        drawn = {"temperature": body["temperature"], "seed": body["seed"]}
        options = Options(max_length=12, **(drawn if body["temperature"] else {}))  # type: ignore[arg-type]
        prompt = str(body["prompt"])
        read = model.continuation(model.prompt(prompt), (), complete=False).text
        text = model.generate(prompt, options).text
        assert status == 200
        assert json.loads(content)["choices"][0]["text"] == text.removeprefix(read)


def test_a_stream_that_nobody_reads_leaves_its_batch(service: Service) -> None:
    body = {"model": "tiny-rotary", "prompt": ["The cat"] * 40, "temperature": 1, "stream": True}
    with socket.create_connection(("127.0.0.1", service.port)) as gone:
        gone.sendall(request_of("/v1/completions", {**body, "max_tokens": 1024}))
        gone.recv(10)
    until(lambda: b"texts_continuing 0\n" in service.ask("/metrics")[2])
    until(lambda: b"requests_active 1\n" in service.ask("/metrics")[2])


QUICK = """
from int8ref import serve
from int8ref.serving import server
server.KEEP_ALIVE_SECONDS = 1
serve.main()
"""


@pytest.mark.slow
def test_clients_that_do_nothing_lose_their_connections(models: dict[str, Path]) -> None:
    """One sends no request, one sends half a request, and one does not read its answer, which is
    larger than all buffers.

    All limits are short here.
    """
    model, size = str(models["tiny-translation"]), 30_000_000
    with (
        serving(
            "-m", model, "--max-body", f"{2 * size}", "--max-seconds", "4", program=QUICK
        ) as service,
        socket.create_connection(("127.0.0.1", service.port)) as silent,
        socket.create_connection(("127.0.0.1", service.port)) as half,
        socket.socket() as slow,
    ):
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", service.port))
        slow.sendall(request_of("/translate", {"q": "y" * size, "source": "en", "target": "en"}))
        half.sendall(b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        with suppress(ConnectionResetError):
            assert silent.recv(1) == b""
        assert half.recv(1000).startswith(b"HTTP/1.1 503")
        until(lambda: b"int8ref_connections 1\n" in service.ask("/metrics")[2])
        read = 0
        with suppress(ConnectionResetError):
            while part := slow.recv(1 << 20):
                read += len(part)
        assert read < size


def test_one_long_text_does_not_delay_others(service: Service) -> None:
    """A request of many texts and small ones: each small one ends before it."""

    async def both() -> list[str]:
        order: list[str] = []

        async def one(name: str, content: bytes) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(content)
            status, _ = await answer_of(reader)
            assert status == 200
            order.append(name)
            writer.close()
            await writer.wait_closed()

        long = request_of(
            "/translate", {"q": "\n".join(["The cat"] * 90), "source": "en", "target": "pt"}
        )
        first = asyncio.create_task(one("long", long))
        await asyncio.sleep(0)
        await asyncio.gather(first, *(one("small", translation("The cat")) for _ in range(3)))
        return order

    assert asyncio.run(both()).count("small") == 3


@pytest.mark.slow
def test_a_thousand_requests_by_fifty_clients(tmp_path: Path) -> None:
    """A model of real size: the same bytes as the command."""
    texts = lines(1000)
    with serving("-m", "en-de-tatoeba") as service:
        sent = [
            request_of("/translate", {"q": line, "source": "en", "target": "de"}) for line in texts
        ]
        answers = asyncio.run(ask(service.port, sent, 50))
    command = [
        sys.executable,
        "-m",
        "int8ref.document",
        "-m",
        "en-de-tatoeba",
        "-q",
        "-",
        "-o",
        "-",
    ]
    command += ["--from-format", "text"]
    _, out, _ = run(command, "".join(f"{line}\n" for line in texts).encode())
    found = [json.loads(body)["translatedText"] for _, body in answers]
    assert "".join(f"{text}\n" for text in found).encode() == out
