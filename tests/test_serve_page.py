"""The page of the service, in Chromium."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from int8ref.serving.people import page
from tests.helpers.browser import CHROMIUM, Browser, browser
from tests.helpers.processes import run
from tests.helpers.services import Service, serving

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is absent")
TEXT = "Tom sleeps.\nThe cat is black."


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving("-m", "en-de-tatoeba", "--threads", "1") as found:
        yield found


@pytest.fixture(scope="module")
def shown(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The page with a translation and alternatives."""
    with browser(tmp_path_factory.mktemp("profile")) as found:
        found.open(service.address)
        found.until("document.readyState === 'complete' && source.value === 'en'")
        found.value(
            f"text.value = {json.dumps(TEXT)}; at('alternatives').value = '2';"
            "at('translate').click(); true"
        )
        found.until("document.querySelectorAll('.pair').length === 2")
        yield found


def test_the_page_shows_what_the_command_writes(shown: Browser) -> None:
    command = [sys.executable, "-m", "int8ref.translate", "-m", "en-de-tatoeba", "-b", "3"]
    _, out, _ = run([*command, "--n-best", "3", "--distinct", "--output-format", "json", TEXT])
    wanted = [json.loads(line)["translations"] for line in out.decode().splitlines()]
    assert shown.value("translation.value") == "\n".join(some[0]["text"] for some in wanted)
    items = shown.value(
        "Array.from(document.querySelectorAll('ol li'), (item) => item.textContent)"
    )
    most = max(map(len, wanted))
    assert most > 1
    assert items == [
        "\n".join(some[min(rank, len(some) - 1)]["text"] for some in wanted)
        for rank in range(1, most)
    ]


def test_pointing_at_a_token_marks_its_partner(shown: Browser) -> None:
    place = shown.value(
        "(() => { const span = document.querySelector('.pair .tokens:last-child span');"
        "span.scrollIntoView(); const box = span.getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
    )
    shown.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    shown.until("document.querySelectorAll('.on').length >= 2")
    marked = shown.value("Array.from(document.querySelectorAll('.on'), (e) => e.textContent)")
    assert [piece.strip() for piece in marked] == ["Tom", "Tom"]
    shown.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    shown.until("document.querySelectorAll('.on').length === 0")


def test_the_keyboard_reaches_every_token(shown: Browser) -> None:
    shown.value("document.querySelector('.pair .tokens span').focus(); true")
    for key in ("ArrowRight", "End", "Home", "ArrowRight"):
        shown.call("Input.dispatchKeyEvent", type="keyDown", key=key)
    focused = "Array.from(document.activeElement.parentNode.children)"
    assert shown.value(f"{focused}.indexOf(document.activeElement)") == 1
    assert shown.value("document.activeElement.classList.contains('on')")
    shown.value("document.activeElement.blur(); true")


def test_every_field_has_a_name(shown: Browser) -> None:
    """The names are those that the accessibility tree of the browser computes."""
    nodes = shown.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "combobox", "textbox"}
    fields = [
        node for node in nodes if node.get("role", {}).get("value") in roles and not node["ignored"]
    ]
    assert len(fields) >= 8
    assert all(node["name"]["value"].strip() for node in fields)


def test_it_fits_a_phone(shown: Browser) -> None:
    shown.call(
        "Emulation.setDeviceMetricsOverride",
        width=360, height=740, deviceScaleFactor=2, mobile=True,
    )  # fmt: skip
    assert shown.value("document.documentElement.scrollWidth") <= 360
    small = shown.value(
        "Array.from(document.querySelectorAll('button, select, textarea'))"
        ".filter((e) => e.offsetParent && e.getBoundingClientRect().height < 44).map((e) => e.id)"
    )
    assert small == []
    shown.call("Emulation.clearDeviceMetricsOverride")


def test_the_receipt_is_accepted(shown: Browser, tmp_path: Path) -> None:
    """The page downloads it by a button, and int8ref.verify runs it again."""
    shown.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    shown.value("at('receipt').click(); true")
    shown.until("at('status').textContent.startsWith('The receipt')")
    file = tmp_path / "int8ref.receipt"
    shown.until("new Promise((done) => setTimeout(() => done(true), 100))")
    while not file.exists():
        shown.until("new Promise((done) => setTimeout(() => done(true), 50))")
    status, out, told = run([sys.executable, "-m", "int8ref.verify", file])
    assert (status, told) == (0, "")
    assert out.decode().startswith("accepted: translate, 2 lines")


def test_an_error_is_told(shown: Browser) -> None:
    shown.value("text.value = 'x\\n'.repeat(5000); at('translate').click(); true")
    shown.until("at('status').classList.contains('wrong')")
    assert "the most are 2000" in shown.value("at('status').textContent")


def test_no_request_leaves_the_service(shown: Browser, service: Service) -> None:
    sent = [e["params"] for e in shown.events if e["method"] == "Network.requestWillBeSent"]
    addresses = {re.sub(r"(?<=\d)/.*", "", request["request"]["url"]) for request in sent}
    assert len(sent) >= 4
    assert {address for address in addresses if not address.startswith("blob:")} == {
        service.address
    }
    wrong = [e for e in shown.events if e["method"] == "Runtime.exceptionThrown"]
    logged = [
        e["params"]["entry"]
        for e in shown.events
        if e["method"] == "Log.entryAdded" and e["params"]["entry"]["level"] in ("error", "warning")
    ]
    refused = [entry for entry in logged if "413" in entry["text"]]
    assert (wrong, logged) == ([], refused)


def test_the_page_names_no_other_address() -> None:
    content, policy = page()
    assert b"http://" not in content
    assert b"https://" not in content
    assert "default-src 'none'" in policy
