"""The service: the interface of LibreTranslate, errors, limits, access, and its end."""

from __future__ import annotations

import json
import signal
import socket
import sys
import urllib.error
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from int8ref import Options, Translator, serve
from int8ref.options import DEFAULT_OPTIONS
from tests.helpers.models import SENTENCES
from tests.helpers.processes import run, until
from tests.helpers.served_models import TRANSLATORS, files
from tests.helpers.services import Service, serving

libretranslatepy = pytest.importorskip("libretranslatepy", reason="libretranslatepy is absent")
pytest.importorskip("uvicorn", reason="the extra serve is absent")
LINES = [*SENTENCES, "", "The cat"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return files(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def service(models: dict[str, Path]) -> Iterator[Service]:
    options = [f"-m{path}" for path in models.values()]
    limits = ["--max-body=20000", "--max-texts=40", "--max-alternatives=4", "--max-queue=60"]
    with serving(*options, *limits, "--threads=2") as found:
        yield found


def wanted(name: str, options: Options = DEFAULT_OPTIONS) -> list[list[str]]:
    """The translations of the lines by the Python interface."""
    copies = replace(options, copy_unknown=True)
    results = Translator(TRANSLATORS[name]).translate(LINES, copies)
    return [[translation.text for translation in result.translations] for result in results]


# LibreTranslate.


def test_a_client_of_libretranslate(service: Service) -> None:
    client = libretranslatepy.LibreTranslateAPI(service.address)
    for name, (source, target) in (
        ("tiny-translation", ("en", "pt")),
        ("tiny-back", ("pt", "en")),
    ):
        found = [client.translate(line, source, target) for line in LINES]
        assert found == [some[0] for some in wanted(name)]
    assert client.languages() == [
        {"code": "en", "name": "English", "targets": ["pt"]},
        {"code": "pt", "name": "Portuguese", "targets": ["en"]},
    ]
    assert client.detect("O gato comeu o peixe e o sol nasceu.")[0]["language"] == "pt"
    with pytest.raises(urllib.error.HTTPError, match="400"):
        client.translate("The cat", "en", "xx")


def test_the_texts_are_those_of_the_command(service: Service, models: dict[str, Path]) -> None:
    """A text of several lines, and a list."""
    model = models["tiny-translation"]
    command = [sys.executable, "-m", "int8ref.translate", "--copy-unknown", "-m", model]
    _, out, _ = run(command, "\n".join(LINES).encode() + b"\n")
    asked = {"q": "\n".join(LINES), "source": "en", "target": "pt"}
    assert service.json("/translate", asked)["translatedText"] == out.decode()[:-1]
    found = service.json("/translate", {**asked, "q": LINES})["translatedText"]
    assert found == out.decode().split("\n")[:-1]
    crlf = service.json("/translate", {**asked, "q": "\r\n".join(LINES)})
    assert crlf["translatedText"].replace("\r\n", "\n") == out.decode()[:-1]


def test_alternatives_are_those_of_a_beam(service: Service) -> None:
    asked = {"q": LINES, "source": "en", "target": "pt", "alternatives": 3}
    found = service.json("/translate", asked)
    options = Options(beam_size=4, n_best=4, distinct=True)
    lists = wanted("tiny-translation", options)
    assert found["translatedText"] == [some[0] for some in lists]
    assert found["alternatives"] == [some[1:] for some in lists]
    assert any(len(some) > 1 for some in lists)


def test_the_language_is_detected(service: Service) -> None:
    texts = ["The dog ran in the sun and the cat saw it.", "O gato comeu o peixe e dormiu."]
    asked = {"q": texts, "source": "auto", "target": "pt"}
    found = service.json("/translate", asked)
    assert [one["language"] for one in found["detectedLanguage"]] == ["en", "pt"]
    assert found["translatedText"][1] == texts[1]
    assert found["translatedText"][0] != texts[0]


@pytest.mark.parametrize(
    "form",
    [
        ("application/x-www-form-urlencoded", b"q=The+cat&q=A+dog&source=en&target=pt"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="q"\r\n\r\nThe cat\r\n'
            b'--x\r\nContent-Disposition: form-data; name="source"\r\n\r\nen\r\n'
            b'--x\r\nContent-Disposition: form-data; name="target"\r\n\r\npt\r\n--x--\r\n',
        ),
    ],
    ids=["urlencoded", "multipart"],
)
def test_forms(service: Service, form: tuple[str, bytes]) -> None:
    status, _, content = service.ask("/translate", form[1], content_type=form[0])
    plain = service.json("/translate", {"q": ["The cat", "A dog"], "source": "en", "target": "pt"})
    found = json.loads(content)["translatedText"]
    assert status == 200
    assert found == (
        plain["translatedText"] if isinstance(found, list) else plain["translatedText"][0]
    )


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"q": "x", "source": "en"}, 400, "missing required field `target`"),
        ({"q": 5, "source": "en", "target": "pt"}, 400, "`$.q`"),
        ({"q": "x", "source": "en", "target": "pt", "alternatives": 9}, 400, "not from 0 to 4"),
        ({"q": "x", "source": "en", "target": "de"}, 400, "'de' is not supported as a target"),
        ({"q": "x", "source": "fr", "target": "pt"}, 400, "'fr' is not supported as a source"),
        ({"q": "x\n" * 40, "source": "en", "target": "pt"}, 413, "the most are 40"),
        ({"q": "x" * 20000, "source": "en", "target": "pt"}, 413, "more than 20000 bytes"),
        (b"{", 400, "truncated"),
        (b'{"q": "\\ud800"}', 400, "cannot be read"),
        (b"\xff", 400, "cannot be read"),
        (b"[" * 10000, 400, "cannot be read"),
    ],
)
def test_errors_of_libretranslate(service: Service, body: Any, status: int, told: str) -> None:
    assert told in service.json("/translate", body, status)["error"]


PATHS = [
    *("/translate", "/detect", "/details", "/receipt", "/translate_file"),
    *("/v1/completions", "/v1/chat/completions", "/v1/embeddings"),
]


@pytest.mark.parametrize("path", PATHS)
def test_no_body_makes_the_service_fail(service: Service, path: str) -> None:
    """Bodies with single faults, and bodies of other kinds, are errors of the client."""
    whole = {"q": "The cat", "source": "en", "target": "pt", "model": "tiny-rotary", "input": "x"}
    content = json.dumps({**whole, "alternatives": 1, "prompt": "a", "max_tokens": 3}).encode()
    random = np.random.default_rng(0)
    bodies = [b"null", b"[]", b"0", b'"q"', b"{}", b'{"q":[]}', b"\0" * 99, b"=&=&%%%"]
    for _ in range(25):
        place, byte = random.integers(len(content)), random.integers(256)
        bodies.append(content[:place] + bytes([byte]) + content[place + 1 :])
    kinds = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
    for number, body in enumerate(bodies):
        status, _, _ = service.ask(path, body, content_type=kinds[number % 9 % 3])
        assert status in (200, 400, 404), body


def test_surrogates_of_a_form_are_refused(service: Service) -> None:
    body = b"q=%ED%A0%80&source=en&target=pt"
    form = "application/x-www-form-urlencoded"
    assert service.ask("/translate", body, content_type=form)[0] == 400


def test_addresses(service: Service) -> None:
    assert service.json("/nothing", status=404) == {"error": "there is no such address"}
    assert "error" in service.json("/translate", status=405)
    assert service.ask("/../../etc/passwd")[0] == 404
    settings = service.json("/frontend/settings")
    assert settings["keyRequired"] is False
    assert settings["language"]["source"]["code"] == "en"
    assert service.json("/health") == {"status": "ok"}


def test_metrics_count_requests(service: Service) -> None:
    def count() -> int:
        lines = service.ask("/metrics")[2].decode().splitlines()
        (line,) = [x for x in lines if x.startswith('int8ref_requests_total{path="/health"')]
        return int(line.split()[1])

    service.json("/health")
    before = count()
    service.json("/health")
    assert count() == before + 1
    for line in service.ask("/metrics")[2].decode().splitlines():
        assert line.startswith("# ") or len(line.split()) == 2


# Access.


def test_keys_and_origins(models: dict[str, Path], tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("first\n\nsécond\n")
    model = str(models["tiny-translation"])
    origin = "https://example.org"
    service = Service("-m", model, "--keys", str(keys), "--cors", origin)
    try:
        asked = {"q": "The cat", "source": "en", "target": "pt"}
        assert "needs an API key" in service.json("/translate", asked, 403)["error"]
        assert "not valid" in service.json("/translate", {**asked, "api_key": "fi"}, 403)["error"]
        service.json("/translate", {**asked, "api_key": "sécond"})
        service.json("/translate", asked, authorization="Bearer first")
        client = libretranslatepy.LibreTranslateAPI(service.address, "first")
        assert client.translate("The cat", "en", "pt")
        service.json("/v1/models", status=401)
        assert service.ask("/metrics")[0] == 403
        assert service.ask("/health")[0] == 200
        body = {**asked, "api_key": "first"}
        _, headers, _ = service.ask("/translate", body, origin=origin)
        assert headers["access-control-allow-origin"] == origin
        service.json("/translate", body, 403, origin="https://other.example")
        service.json("/translate", body, origin=service.address)
    finally:
        assert service.stop(signal.SIGINT) == -signal.SIGINT  # Ctrl-C


def test_no_page_of_another_origin_is_answered(service: Service) -> None:
    asked = {"q": "The cat", "source": "en", "target": "pt"}
    told = service.json("/translate", asked, 403, origin="https://other.example")
    assert "--cors" in told["error"]
    assert "access-control-allow-origin" not in service.ask("/languages")[1]


# The end.


def test_what_was_taken_is_finished_at_sigterm(models: dict[str, Path]) -> None:
    """A request whose body is not whole keeps the service open; others get 503."""
    with serving("-m", str(models["tiny-translation"])) as service:
        body = json.dumps({"q": "The cat", "source": "en", "target": "pt"}).encode()
        head = f"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", service.port)) as slow:
            slow.sendall(head.encode() + body[:5])
            until(lambda: b"active 2" in service.ask("/metrics")[2])
            service.process.send_signal(signal.SIGTERM)
            until(lambda: service.ask("/health")[0] == 503)
            status, headers, content = service.ask("/translate", body)
            assert (status, headers["connection"]) == (503, "close")
            assert "ends" in json.loads(content)["error"]
            slow.sendall(body[5:])
            assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        assert service.process.wait(60) == 0
        assert service.stop() == 0
    assert "".join(service.told).endswith("int8ref: ended\n")


# The command.


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-m", "{folder}/none"], "no model file"),
        (["--port", "{port}"], "in use"),
        (["--port", "0", "-m", "{model}"], "two models have the name tiny-translation"),
        (["--port", "0", "--keys", "{folder}/keys"], "there is no key in the file"),
        (["--port", "0", "--shortlist"], "tiny-translation has no shortlist"),
    ],
)
def test_errors_of_the_command(
    models: dict[str, Path], service: Service, tmp_path: Path, capfd: Any,
    options: list[str], told: str,
) -> None:  # fmt: skip
    (tmp_path / "keys").write_text("\n")
    model = str(models["tiny-translation"])
    named = {"folder": tmp_path, "port": service.port, "model": model}
    assert serve.main(["-m", model, *(option.format(**named) for option in options)]) == 1
    out, errors = capfd.readouterr()
    assert (out, errors.count("\n")) == ("", 1)
    assert told in errors


def test_wrong_usage() -> None:
    for options in (["--port", "65536"], ["--max-texts", "0"], ["--threads", "x"]):
        with pytest.raises(SystemExit, match="2"):
            serve.main(options)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for name in [name for name in sys.modules if name.startswith("int8ref.serving")]:
        monkeypatch.delitem(sys.modules, name)
    assert serve.main(["--port", "0"]) == 1
    assert "pip install 'int8ref[serve]'" in capfd.readouterr().err
